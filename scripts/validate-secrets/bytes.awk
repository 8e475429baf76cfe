# Bytes as hexadecimal text, which every awk can hold (NUL included): base64 in and out, and numbers.

BEGIN {
  BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  for (i = 1; i <= 64; i++) SEXTET[substr(BASE64, i, 1)] = i - 1
  for (i = 0; i < 256; i++) BYTE[sprintf("%02x", i)] = i
}
# Strict base64 with padding (RFC 4648 §4) → hex; "" for an empty text, "!" for anything else.
function base64_to_hex(s,   n, pad, i, v, hex) {
  n = length(s)
  if (n == 0) return ""
  if (n % 4 || s !~ /^[A-Za-z0-9+\/]+=?=?$/) return "!"
  pad = s ~ /==$/ ? 2 : s ~ /=$/ ? 1 : 0
  if (pad) s = substr(s, 1, n - pad) substr("AA", 1, pad)
  for (i = 1; i <= n; i += 4) {
    v = ((SEXTET[substr(s, i, 1)] * 64 + SEXTET[substr(s, i + 1, 1)]) * 64 + SEXTET[substr(s, i + 2, 1)]) * 64 + SEXTET[substr(s, i + 3, 1)]
    hex = hex sprintf("%06x", v)
  }
  # Bits that stand for nothing are zero, or the same bytes would have two spellings.
  if (pad && substr(hex, length(hex) - 2 * pad + 1) !~ /^0+$/) return "!"
  return substr(hex, 1, length(hex) - 2 * pad)
}
function hex_to_base64(hex,   i, v, out) {
  for (i = 1; i <= length(hex); i += 6) {
    v = (BYTE[substr(hex, i, 2)] * 256 + BYTE[substr(hex, i + 2, 2)]) * 256 + BYTE[substr(hex, i + 4, 2)]
    out = out substr(BASE64, int(v / 262144) + 1, 1) substr(BASE64, int(v / 4096) % 64 + 1, 1) substr(BASE64, int(v / 64) % 64 + 1, 1) substr(BASE64, v % 64 + 1, 1)
  }
  return out
}
# Seconds since 1970 of a date in UTC (days_from_civil, Howard Hinnant).
function epoch(y, m, d, hour, minute, second,   era, yoe, doy) {
  if (m <= 2) y--
  era = int(y / 400); yoe = y - era * 400
  doy = int((153 * (m + (m > 2 ? -3 : 9)) + 2) / 5) + d - 1
  return (era * 146097 + yoe * 365 + int(yoe / 4) - int(yoe / 100) + doy - 719468) * 86400 + hour * 3600 + minute * 60 + second
}
