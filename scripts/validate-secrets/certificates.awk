# PEM files → what their certificates say, decoded from DER (RFC 5280 §4) rather than from text meant for people, in
# which one name can pose as two. Owns syntax only. Use with bytes.awk; files are arguments, numbered from 1.
#
# Output, fields separated by |:
#   F|file|certificates|private keys|1 when a certificate cannot be decoded
#   C|file|number|subject|issuer|notBefore|notAfter|signature|key|bits|spki|ca|usage|purposes|alternative names|unusable|uris|dns|bytes
# Names and keys are hex DER, dates epoch seconds, lists comma separated; `unusable` is 1 when a name has a character
# that no name of ours has (then it is not quoted at all).

BEGIN {
  for (i = 32; i < 127; i++) CHAR[sprintf("%02x", i)] = sprintf("%c", i)
  CURVE["06082a8648ce3d030107"] = "P-256 256"; CURVE["06052b81040022"] = "P-384 384"; CURVE["06052b81040023"] = "P-521 521"
  for (file = 1; file < ARGC; file++) {
    text = ""
    while ((got = (getline line < ARGV[file])) > 0) text = text line "\n"
    close(ARGV[file])
    if (got == 0) read_pem(text)
  }
  exit
}
function read_pem(text,   block, label, body, certificates, keys, bad, out) {
  certificates = keys = bad = 0; out = ""
  while (match(text, /-----BEGIN [A-Z0-9 ]+-----[^-]*-----END [A-Z0-9 ]+-----/)) {
    block = substr(text, RSTART, RLENGTH); text = substr(text, RSTART + RLENGTH)
    label = substr(block, 12); label = substr(label, 1, index(label, "-----") - 1)
    if (substr(block, length(block) - length(label) - 13) != "-----END " label "-----") continue
    if (label ~ /PRIVATE KEY$/) keys++
    if (label != "CERTIFICATE") continue
    certificates++
    body = substr(block, 28, length(block) - 27 - 25)
    gsub(/[ \t\r\n]/, "", body)
    if (certificates <= 17) { der = base64_to_hex(body); line = certificate(); if (line == "") bad = 1; else out = out "C|" file "|" certificates line "\n" }
  }
  printf "F|%d|%d|%d|%d\n%s", file, certificates, keys, bad, out
}
# The tag-length-value at hex position p → TAG, CON (where its content begins), LEN (hex digits), NXT. 0 if it is cut off.
function tlv(p,   n, k) {
  TAG = substr(der, p, 2); n = BYTE[substr(der, p + 2, 2)]; CON = p + 4
  if (length(TAG) < 2 || CON > length(der) + 1) return 0
  if (n > 127) {
    k = n - 128
    if (k < 1 || k > 3) return 0
    for (n = 0; k > 0; k--) { n = n * 256 + BYTE[substr(der, CON, 2)]; CON += 2 }
  }
  LEN = 2 * n; NXT = CON + LEN
  return NXT <= length(der) + 1
}
function body() { return substr(der, CON, LEN) }
function whole(p) { return substr(der, p, NXT - p) }

function certificate(   p, end, subject, issuer, from, to, sig, s, key, spki, exts) {
  if (der == "" || der == "!" || !tlv(1) || TAG != "30" || NXT != length(der) + 1 || !tlv(CON) || TAG != "30") return ""
  end = NXT; p = CON
  if (!tlv(end) || TAG != "30") return ""
  sig = signature(end)
  if (!tlv(p)) return ""
  if (TAG == "a0") p = NXT
  if (!tlv(p) || TAG != "02" || !tlv(NXT) || TAG != "30") return ""
  p = NXT; if (!tlv(p)) return ""; issuer = whole(p)
  p = NXT; if (!tlv(p)) return ""; s = CON; p = NXT
  if (!tlv(s) || (from = instant()) == "" || !tlv(NXT) || (to = instant()) == "") return ""
  if (!tlv(p)) return ""; subject = whole(p)
  p = NXT; if (!tlv(p)) return ""; spki = whole(p); exts = NXT
  key = public_key(p)
  ca = usage = purposes = uris = dns = ""; sans = odd = 0
  while (exts < end) {
    if (!tlv(exts)) return ""
    exts = NXT
    if (TAG == "a3" && !extensions(CON, NXT)) return ""
  }
  # Libraries differ on which of two such extensions counts, so any second one is counted, wherever it stands.
  s = der
  for (sans = 0; (p = index(s, "0603551d11")) > 0; s = substr(s, p + 10)) sans++
  return "|" subject "|" issuer "|" from "|" to "|" sig "|" key "|" spki "|" (ca && (usage == "" || usage ~ /s/)) "|" usage "|" purposes "|" sans "|" odd "|" uris "|" dns "|" length(der) / 2
}
function instant(   s, i, v, y) {
  s = body()
  for (i = 1; i <= length(s); i += 2) v = v CHAR[substr(s, i, 2)]
  if (TAG == "17" && v ~ /^[0-9]+Z$/ && length(v) == 13) v = (substr(v, 1, 2) < 50 ? "20" : "19") v
  else if (TAG != "18" || v !~ /^[0-9]+Z$/ || length(v) != 15) return ""
  return sprintf("%.0f", epoch(substr(v, 1, 4) + 0, substr(v, 5, 2) + 0, substr(v, 7, 2) + 0, substr(v, 9, 2) + 0, substr(v, 11, 2) + 0, substr(v, 13, 2) + 0))
}
# `weak` for SHA-1 and MD5; of RSA-PSS the hash is a parameter, SHA-1 when left out (RFC 4055 §3.1).
function signature(p,   s) {
  s = whole(p)
  if (s ~ /06092a864886f70d01010[245]|06072a8648ce3d0401|06072a8648ce380403|06052b0e03021d/) return "weak"
  if (s ~ /06092a864886f70d01010a/ && s !~ /060960864801650304020[123]/) return "weak"
  return "strong"
}
function public_key(p,   s, curve, n, top) {
  if (!tlv(p) || !tlv(CON) || !tlv(CON)) return "unknown|0"
  s = whole(CON - 4); p = NXT
  if (s == "06072a8648ce3d0201") {
    if (!tlv(p)) return "EC|0"
    curve = whole(p)
    if (!(curve in CURVE)) return "EC on another curve|0"
    split(CURVE[curve], part, " ")
    return part[1] "|" part[2]
  }
  if (s == "06092a864886f70d010101") {
    if (!tlv(p)) return "RSA|0"                     # NULL
    if (!tlv(NXT) || !tlv(CON + 2) || !tlv(CON)) return "RSA|0" # BIT STRING, its unused-bits byte, SEQUENCE, INTEGER
    s = body(); sub(/^(00)+/, "", s)
    n = 4 * length(s)
    for (top = BYTE[substr(s, 1, 2)]; top < 128 && n > 0 && top > 0; top *= 2) n--
    return "RSA|" n
  }
  if (s == "06032b6570") return "Ed25519|256"
  return "of an unsupported kind|0"
}
function extensions(p, end,   stop, oid, at) {
  if (!tlv(p)) return 0
  p = CON; stop = NXT
  while (p < stop) {
    if (!tlv(p)) return 0
    at = CON; p = NXT
    if (!tlv(at)) return 0
    oid = body()
    if (!tlv(NXT)) return 0
    if (TAG == "01" && !tlv(NXT)) return 0
    if (TAG != "04") return 0
    if (oid == "551d13") ca = constraint(CON)
    else if (oid == "551d0f") usage = key_usage(CON)
    else if (oid == "551d25") purposes = key_purposes(CON)
    else if (oid == "551d11" && !alternative_names(CON)) return 0
  }
  return 1
}
function constraint(p) { return tlv(p) && LEN > 0 && tlv(CON) && TAG == "01" && body() != "00" }
# `d` digitalSignature, `s` keyCertSign, `-` neither.
function key_usage(p,   bits) {
  if (!tlv(p) || TAG != "03") return "-"
  bits = BYTE[substr(der, CON + 2, 2)]
  return (bits >= 128 ? "d" : "") (int(bits / 4) % 2 ? "s" : "") "-"
}
function key_purposes(p,   end, out, s) {
  if (!tlv(p)) return "?"
  p = CON; end = NXT
  for (out = "?"; p < end; p = NXT) {
    if (!tlv(p)) return out
    s = body()
    out = out "," (s == "2b06010505070301" ? "serverAuth" : s == "2b06010505070302" ? "clientAuth" : "other")
  }
  return out
}
function alternative_names(p,   end, type, s, i, v, c) {
  if (!tlv(p)) return 0
  p = CON; end = NXT
  for (; p < end; p = NXT) {
    if (!tlv(p)) return 0
    type = TAG; s = body(); v = ""
    if (type !~ /^8[126]$/) continue
    for (i = 1; i <= length(s); i += 2) {
      c = CHAR[substr(s, i, 2)]
      if (c == "" || index("\"\\,'|", c)) { odd = 1; c = "?" }
      v = v c
    }
    if (type == "86") uris = uris (uris == "" ? "" : ",") v
    if (type == "82") dns = dns (dns == "" ? "" : ",") v
  }
  return 1
}
