# A manifest as yaml.awk flattened it → one line per object, and the content of every Secret and ConfigMap entry in a
# file of its own (directory `out`). Owns which objects matter and finding secrets outside of Secrets.
#
# Output, fields separated by |, names with anything but printable ASCII as "?":
#   K|namespace|kind|name|created                      an object
#   E|number|namespace|kind|name|section|key|has       an entry, content in out/NUMBER (base64 as it stands for data and
#                                                      binaryData); has: k for a private key in it, else -
#   P|namespace|secret|maker                           a Secret that a controller makes from this object
#   X|namespace|kind|name|where|what                   a secret (key or registration) outside of a Secret
#   B|why                                              cannot be judged

BEGIN { FS = "\t"; US = "\037" }
$1 != doc { flush(); doc = $1 }
$3 == "!" { print "B|document " $1 ", " $4; broken[$1] = 1; next }
{ n++; P[n] = $2; T[n] = $3; V[n] = unescape($4) }
END { flush() }

# In linear time; yaml.awk lets no \001 through.
function unescape(s) {
  if (index(s, "\\") == 0) return s
  gsub(/\\\\/, "\001", s); gsub(/\\n/, "\n", s); gsub(/\\t/, "\t", s); gsub(/\\r/, "\r", s); gsub(/\001/, "\\", s)
  return s
}
function plain(s) { gsub(/[^ -~]|[|]/, "?", s); return substr(s, 1, 253) }

function flush(   i, prefix, list) {
  if (n && !(doc in broken)) {
    split("", at)
    for (i = 1; i <= n; i++) at[P[i]] = i
    if (T[1] != "m") print "B|document " doc " is no Kubernetes object"
    else if (get("", "kind") == "") print "B|document " doc " is no Kubernetes object: it has no kind"
    else if (get("", "kind") ~ /List$/ && ((US "items") in at)) {
      list = get("", "kind"); sub(/List$/, "", list)
      for (i = 0; ((US "items" US i) in at); i++) object(US "items" US i, list)
    } else object("", "")
  }
  n = 0
}
function get(prefix, key,   p) { p = prefix US key; return p in at ? V[at[p]] : "" }

function object(prefix, kind_of_list,   kind, name, ns, i, from, rest, part, depth, section) {
  kind = get(prefix, "kind"); if (kind == "") kind = kind_of_list
  name = get(prefix, "metadata" US "name"); ns = get(prefix, "metadata" US "namespace")
  if (kind == "" || name == "" && kind ~ /^(Secret|ConfigMap)$/) { print "B|document " doc " has an object without kind or name"; return }
  kind = plain(kind); name = plain(name); ns = plain(ns)
  print "K|" ns "|" kind "|" name "|" plain(get(prefix, "metadata" US "creationTimestamp"))
  if (kind == "Certificate" && get(prefix, "spec" US "secretName") != "") print "P|" ns "|" plain(get(prefix, "spec" US "secretName")) "|Certificate/" name
  if (kind == "SealedSecret") print "P|" ns "|" name "|SealedSecret/" name
  if (kind == "ExternalSecret") print "P|" ns "|" (get(prefix, "spec" US "target" US "name") == "" ? name : plain(get(prefix, "spec" US "target" US "name"))) "|ExternalSecret/" name
  from = at[prefix]
  for (i = from + 1; i <= n && (prefix == "" || index(P[i], prefix US) == 1); i++) {
    rest = substr(P[i], length(prefix) + 2)
    depth = split(rest, part, US); section = part[1]
    if (kind == "Secret" || kind == "ConfigMap") {
      if (depth == 1 && section ~ /^(data|stringData|binaryData)$/ && T[i] != "m" && !(T[i] == "t" && V[i] ~ /^(null|~)?$/)) print "B|" kind "/" name ": " section " is not a map"
      if (depth == 2 && section ~ /^(data|stringData|binaryData)$/) {
        if (T[i] == "m" || T[i] == "q") print "B|" kind "/" name ": a value in " section " is not text"
        else entry(ns, kind, name, section, part[2], T[i] == "t" && V[i] ~ /^(null|Null|NULL|~)$/ ? "" : V[i])
      }
    }
    if (kind != "Secret" && T[i] == "s" && leak(V[i]) != "") print "X|" ns "|" kind "|" name "|" plain(depth == 2 && section ~ /[dD]ata$/ ? part[2] : part[depth]) "|" leak(V[i])
  }
}
function entry(ns, kind, name, section, key, text,   has, s) {
  entries++
  printf "%s", text > (out "/" entries); close(out "/" entries)
  has = text ~ /PRIVATE KEY-----/
  if (!has && section != "stringData") { s = text; gsub(/[ \t\r\n]/, "", s); has = s ~ /UFJJVkFURSBLRV|BSSVZBVEUgS0VZ|QUklWQVRFIEtFW/ }
  print "E|" entries "|" ns "|" kind "|" name "|" section "|" plain(key) "|" (has ? "k" : "-")
}
# What secret a text holds: a PEM private key, plain or in base64, or the secret of a registration key.
function leak(s,   r) {
  if (s ~ /-----BEGIN [A-Z ]*PRIVATE KEY-----/ || s ~ /LS0tLS1CRUdJTi[A-Za-z0-9+\/]*(UFJJVkFURSBLRV|BSSVZBVEUgS0VZ|QUklWQVRFIEtFW)/) return "private key"
  while (match(s, /(^|[^A-Za-z0-9_.-])["']?secret["']?[ \t]*:[ \t]*["']?[A-Za-z0-9+\/]+/)) {
    r = substr(s, RSTART, RLENGTH); s = substr(s, RSTART + RLENGTH)
    sub(/^.*:[ \t]*["']?/, "", r)
    if (length(r) >= 42) return "registration secret"
  }
  return ""
}
