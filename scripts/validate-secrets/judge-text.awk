# Whether the text of one file is there at all: prints `empty`, `placeholder` or `content`. Use with bytes.awk and
# placeholder.awk. Lines of PEM blocks and YAML values count each for itself, comments not at all.
/^[ \t]*#/ { next }
{ text = text (NR > 1 ? "\n" : "") $0 }
END {
  s = text; gsub(/[ \t\r\n]+/, "", s)
  if (s == "" || s == "~") { print "empty"; exit }
  if (is_placeholder(text) || is_placeholder(printable(base64_to_hex(s)))) { print "placeholder"; exit }
  if (match(text, /-----BEGIN [A-Z0-9 ]+-----/)) {
    s = substr(text, RSTART)
    if (is_placeholder(s) || s ~ /\n[ \t]*(<[^<>\n]*>|\.\.\.+|\$\{[^{}\n]*\}|\{\{[^\n]*\}\})[ \t]*\n/) { print "placeholder"; exit }
  }
  print "content"
}
function printable(hex,   i, out) {
  if (hex == "" || hex == "!" || length(hex) > 400) return ""
  for (i = 1; i <= length(hex); i += 2) out = out sprintf("%c", BYTE[substr(hex, i, 2)] > 0 ? BYTE[substr(hex, i, 2)] : 1)
  return out
}
