# A keyring or a registration key file, as yaml.awk flattened it → its faults and keys. Holds to the schemas of
# protocol/src/token (keyring.ts, keyring-cross-faults.ts, registration-key.ts), so that what passes here loads there.
# Use with bytes.awk. Variables: mode keyring|key, now (epoch seconds), out (prefix of files in a private directory,
# where key material goes: OUT.N hex of keyring key N, OUT.key hex of the client's; OUT.pem its Ed25519 key).
#
# Output, fields separated by |; no output repeats a value that might be secret:
#   fault|key path: what is wrong
#   placeholder|key path        sample|key path
#   key|number|keyId|algorithm|role|identities|services|active, future or past|seconds until notAfter
# The last two not for a client's key, and of the scope only what its file says: files of earlier versions say none.

BEGIN {
  FS = "\t"; US = "\037"
  NAME = "a name of a-z, 0-9 and hyphen, at most 63"
  # Public in documents, so anybody can sign with them: RFC 8032 §7.1 tests 1 to 3, docs/configuration.md, and the public
  # key of the all-zero seed.
  split("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60 d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a " \
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb 3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c " \
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7 fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025 " \
    "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8 3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29", list, " ")
  for (i in list) SAMPLE[list[i]] = 1
  # Points of small order (protocol/src/token/ed25519-small-order.ts), the sign bit cleared.
  split("0000000000000000000000000000000000000000000000000000000000000000 0100000000000000000000000000000000000000000000000000000000000000 " \
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05 c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a " \
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f " \
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", small, " ")
  for (i in small) SMALL[small[i]] = 1
}
$3 == "!" { fault("", $4); broken = 1 }
$1 > 1 { second = 1 }
{ path = substr($2, 2); if (!(path in T)) paths[++n] = path; T[path] = $3; V[path] = $4 }
END {
  if (broken) exit
  if (n == 0) { fault("", "holds no YAML"); exit }
  if (second) { fault("", "holds a second document"); exit }
  if (T[""] != "m") { fault("", "is not a map"); exit }
  if (mode == "key") client_key()
  else keyring()
}
function fault(path, what) { gsub(US, ".", path); gsub(/[^ -~]|[|]/, "?", path); print "fault|" (path == "" ? "" : substr(path, 1, 80) ": ") what }
function has(path) { return path in T }
# The children of a map must all be of ` a b `.
function known(path, keys,   i, rest, prefix) {
  prefix = path == "" ? "" : path US
  for (i = 1; i <= n; i++) {
    if (paths[i] == "" || prefix != "" && index(paths[i], prefix) != 1) continue
    rest = substr(paths[i], length(prefix) + 1)
    if (rest !~ US && index(keys, " " rest " ") == 0) fault(path, "has an unknown key")
  }
}
function text(path) {
  if (!has(path)) { fault(path, "is required"); return 0 }
  if (T[path] != "s") { fault(path, "must be text (put it in quotes)"); return 0 }
  return 1
}
function key_id(path) {
  if (!text(path)) return
  if (V[path] ~ /^[A-Za-z0-9][A-Za-z0-9._-]*$/ && length(V[path]) <= 64) return
  if (is_placeholder(V[path])) print "placeholder|" where(path)
  else fault(path, "must be 1 to 64 of A-Z, a-z, 0-9, dot, underscore and hyphen, starting with a letter or digit")
}
function algorithm(path) {
  if (!text(path)) return ""
  if (V[path] ~ /^(ed25519|hmac-sha256)$/) return V[path]
  if (is_placeholder(V[path])) print "placeholder|" where(path)
  else fault(path, "must be ed25519 or hmac-sha256")
  return ""
}
function where(path) { gsub(US, ".", path); return path }
# Base64 of min to max bytes → hex, or "" with the fault reported.
function material(path, min, max,   hex, size, verdict) {
  if (!text(path)) return ""
  if (is_placeholder(V[path]) || is_placeholder(printable(base64_to_hex(V[path])))) { print "placeholder|" where(path); return "" }
  hex = base64_to_hex(V[path])
  if (hex == "!") { fault(path, "must be base64 with padding, without spaces or line breaks"); return "" }
  size = length(hex) / 2
  if (size < min || size > max) { fault(path, "holds " size " bytes; must hold " (min == max ? "exactly " min : min " to " max)); return "" }
  if (hex in SAMPLE || is_pattern(hex)) { print "sample|" where(path); return "" }
  return hex
}
# All bytes the same, or counting up or down: nobody's random key.
function is_pattern(hex,   i, step) {
  step = BYTE[substr(hex, 3, 2)] - BYTE[substr(hex, 1, 2)]
  if (step != 0 && step != 1 && step != -1) return 0
  for (i = 3; i <= length(hex); i += 2) if ((BYTE[substr(hex, i, 2)] - BYTE[substr(hex, i - 2, 2)] - step) % 256) return 0
  return 1
}
function printable(hex,   i, out) {
  if (hex == "" || hex == "!") return ""
  for (i = 1; i <= length(hex); i += 2) out = out sprintf("%c", BYTE[substr(hex, i, 2)] > 0 ? BYTE[substr(hex, i, 2)] : 1)
  return out
}
function client_key(   alg, hex) {
  known("", " keyId algorithm secret scope ")
  key_id("keyId"); alg = algorithm("algorithm")
  if (has("scope")) scope("scope")
  hex = material("secret", 32, alg == "ed25519" ? 32 : 256)
  if (hex == "" || alg == "") return
  printf "%s", hex > (out ".key")
  # RFC 8410 §7: PKCS#8 around the seed; 48 bytes, so the base64 needs no padding.
  if (alg == "ed25519") printf "-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n", hex_to_base64("302e020100300506032b657004220420" hex) > (out ".pem")
  print "key|0|" V["keyId"] "|" alg "|" role "|" identities "|" services
}
function keyring(   i) {
  known("", " keys ")
  if (!has("keys")) { fault("keys", "is required"); return }
  if (T["keys"] != "q") { fault("keys", "must be a list"); return }
  for (i = 0; has("keys" US i); i++) keyring_key("keys" US i, i)
}
function keyring_key(p, i,   alg, hex, y, from, to) {
  if (T[p] != "m") { fault(p, "must be a map"); return }
  known(p, " keyId algorithm publicKey secret scope notBefore notAfter ")
  key_id(p US "keyId")
  if (T[p US "keyId"] == "s") { if (V[p US "keyId"] in used) fault(p US "keyId", "is the key id of another key already"); used[V[p US "keyId"]] = 1 }
  alg = algorithm(p US "algorithm")
  if (alg == "ed25519" && has(p US "secret")) fault(p US "secret", "must not be here: a relay needs only the public key")
  if (alg == "hmac-sha256" && has(p US "publicKey")) fault(p US "publicKey", "must not be here: hmac-sha256 has no public key")
  if (alg == "ed25519") {
    hex = material(p US "publicKey", 32, 32)
    y = substr(hex, 1, 62) sprintf("%02x", BYTE[substr(hex, 63, 2)] % 128)
    if (hex != "" && y in SMALL) fault(p US "publicKey", "is a point of small order: anyone could sign for it")
  }
  if (alg == "hmac-sha256") hex = material(p US "secret", 32, 256)
  scope(p US "scope")
  from = instant(p US "notBefore"); to = instant(p US "notAfter")
  if (from == "" || to == "") return
  if (from >= to) { fault(p US "notAfter", "must be later than notBefore"); return }
  if (hex == "") return
  printf "%s", hex > (out "." i); close(out "." i)
  print "key|" i "|" V[p US "keyId"] "|" alg "|" role "|" identities "|" services "|" (now < from ? "future" : now < to ? "active" : "past") "|" sprintf("%.0f", to - now)
}
# Sets role, identities and services.
function scope(p) {
  role = identities = services = ""
  if (!has(p)) { fault(p, "is required"); return }
  if (T[p] != "m") { fault(p, "must be a map"); return }
  known(p, " role identities services ")
  role = V[p US "role"]
  if (text(p US "role") && role !~ /^(agent|connector)$/) { fault(p US "role", "must be agent or connector"); role = "" }
  identities = names(p US "identities", 1); services = names(p US "services", 0)
}
# Comma separated, * for all.
function names(p, least,   i, out, v) {
  if (!has(p)) { fault(p, "is required"); return "" }
  if (T[p] == "s" && V[p] == "*") return "*"
  if (T[p] != "q" || least && !has(p US 0)) { fault(p, "must be '*' or a list of " (least ? "at least one name" : "names")); return "" }
  for (i = 0; has(p US i); i++) {
    v = V[p US i]
    if (T[p US i] != "s" || length(v) > 63 || v !~ /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/) fault(p US i, "must be " NAME)
    else out = out (out == "" ? "" : ",") v
  }
  return out
}
# ISO 8601 with zone → epoch seconds.
function instant(p,   v, d, t, zone, days) {
  if (!text(p)) return ""
  v = V[p]
  if (v ~ /^[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?(Z|[-+][0-2][0-9]:[0-5][0-9])$/) {
    split(substr(v, 1, 10), d, "-"); t = substr(v, 12)
    zone = 0
    if (t !~ /Z$/) { zone = substr(t, length(t) - 4, 2) * 60 + substr(t, length(t) - 1, 2); if (substr(t, length(t) - 5, 1) == "-") zone = -zone; if (substr(t, length(t) - 4, 2) > 23) d[2] = 0; sub(/[-+][0-9:]+$/, "", t) }
    split("31 " (d[1] % 4 == 0 && d[1] % 100 != 0 || d[1] % 400 == 0 ? 29 : 28) " 31 30 31 30 31 31 30 31 30 31", days, " ")
    if (d[2] >= 1 && d[2] <= 12 && d[3] >= 1 && d[3] <= days[d[2] + 0] && substr(t, 1, 2) < 24)
      return epoch(d[1] + 0, d[2] + 0, d[3] + 0, substr(t, 1, 2) + 0, substr(t, 4, 2) + 0, (substr(t, 6, 1) == ":" ? substr(t, 7) + 0 : 0)) - zone * 60
  }
  if (is_placeholder(v)) print "placeholder|" where(p)
  else fault(p, "must be a date and time with its zone, like 2026-01-31T00:00:00Z")
  return ""
}
