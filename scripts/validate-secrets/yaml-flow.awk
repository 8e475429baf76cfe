# The other half of yaml.awk: flow style ({...}, [...], quotes), read at column `fp` of line `cur`; fail, emit, scalar, unique,
# repeat and the constants are there. What is inside may run over several lines.
function flow_blank(   s) {
  while (err == "") {
    s = substr(L[cur], fp, WINDOW)
    match(s, /^[ \t]*/)
    if (RLENGTH == WINDOW) { fp += RLENGTH; continue }
    fp += RLENGTH
    if (fp <= length(L[cur]) && substr(L[cur], fp, 1) != "#") return
    if (fp <= length(L[cur]) && fp > 1 && substr(L[cur], fp - 1, 1) !~ /[ \t]/) return
    if (cur >= end) { fail("a bracket or quote is not closed"); return }
    cur++; fp = 1
  }
}
function flow(path, depth,   ch, v) {
  if (depth > MAX_DEPTH) { fail("nested too deeply"); return }
  ch = substr(L[cur], fp, 1)
  if (ch == "{") flow_map(path, depth)
  else if (ch == "[") flow_list(path, depth)
  else if (ch == "\"" || ch == "'") { v = flow_quoted(ch); if (err == "") emit(path, "s", v) }
  else { v = flow_plain(); if (err == "") scalar(path, v) }
}
function flow_map(path, depth,   ch, k, quoted) {
  emit(path, "m", ""); fp++
  while (err == "") {
    flow_blank()
    ch = substr(L[cur], fp, 1)
    if (ch == "}") { fp++; return }
    quoted = ch == "\"" || ch == "'"
    k = quoted ? flow_quoted(ch) : flow_plain()
    if (err != "") return
    if (k == "" && !quoted || !quoted && k == "<<") { fail("no key where one is needed"); return }
    if (!unique(path, k)) return
    flow_blank()
    if (substr(L[cur], fp, 1) == ":") {
      fp++; flow_blank()
      if (substr(L[cur], fp, 1) ~ /[,}]/) emit(path US k, "t", "")
      else flow(path US k, depth + 1)
    } else emit(path US k, "t", "")
    if (err != "" || flow_next("}")) return
  }
}
function flow_list(path, depth,   i) {
  emit(path, "q", ""); fp++
  for (i = 0; err == ""; i++) {
    flow_blank()
    if (substr(L[cur], fp, 1) == "]") { fp++; return }
    flow(path US i, depth + 1)
    if (err != "" || flow_next("]")) return
  }
}
# Past a comma, 0; past the closing bracket, 1.
function flow_next(close_with,   ch) {
  flow_blank()
  ch = substr(L[cur], fp, 1)
  if (ch == close_with) { fp++; return 1 }
  if (ch != ",") fail("a comma or closing bracket is missing")
  fp++
  return 0
}
function flow_plain(goes_on,   w, v, gap) {
  w = substr(L[cur], fp, WINDOW)
  if (!goes_on && w ~ /^[&*]/) { fail("an anchor or alias is not supported"); return "" }
  if (!goes_on && w ~ /^!/) { fail("a tag is not supported"); return "" }
  if (!goes_on && w ~ /^[]%@`|>#,}]/ || w ~ /^[-?:]([] \t,[{}]|$)/) { fail("a character YAML reserves begins a value"); return "" }
  v = ""
  while (match(w, /[],[{}]|:([] \t,[{}]|$)|[ \t]#/) == 0 && length(w) == WINDOW) { v = v w; fp += WINDOW; w = substr(L[cur], fp, WINDOW) }
  if (RSTART) w = substr(w, 1, RSTART - 1)
  v = v w; fp += length(w)
  sub(/[ \t]+$/, "", v)
  if (fp <= length(L[cur]) || more_follows() == "") return v
  # It goes on in the next line.
  gap = NEXT - cur - 1; cur = NEXT
  match(L[cur], /^[ \t]*/); fp = RLENGTH + 1
  return v (gap ? repeat("\n", gap) : " ") flow_plain(1)
}
# The next line that is not blank, if it continues a plain text; sets NEXT to its number.
function more_follows(   s) {
  for (NEXT = cur + 1; NEXT <= end && L[NEXT] ~ /^[ \t]*$/; NEXT++);
  if (NEXT > end) return ""
  s = L[NEXT]; sub(/^[ \t]+/, "", s)
  return s ~ /^[],}#:[{]/ ? "" : s
}
# Appending to a long text copies it, so what is read gathers in `v` and joins `long` a chunk at a time.
function flow_quoted(c,   v, w, long, kept) {
  fp++; v = ""; long = ""; kept = 0 # up to where blanks were written as escapes
  while (err == "") {
    if (length(v) > CHUNK) { long = long substr(v, 1, CHUNK); v = substr(v, CHUNK + 1); kept = kept > CHUNK ? kept - CHUNK : 0 }
    w = substr(L[cur], fp, WINDOW)
    if (w == "") { v = substr(v, 1, kept) fold(substr(v, kept + 1)); continue }
    if (!match(w, STOP[c])) { v = v w; fp += length(w); continue }
    v = v substr(w, 1, RSTART - 1); fp += RSTART - 1
    w = substr(L[cur], fp, 2)
    if (w == "''" && c == "'") { v = v "'"; fp += 2 }
    else if (substr(w, 1, 1) == c) { fp++; return long v }
    else if (w == "\\") { if (cur >= end) { fail("a quote is not closed"); return "" }; cur++; match(L[cur], /^[ \t]*/); fp = RLENGTH + 1 }
    else { v = v escape(); kept = length(v) }
  }
  return ""
}
# A line break inside quotes: one is a space, each further one a line break.
function fold(v,   gap) {
  sub(/[ \t]+$/, "", v)
  for (gap = 0; ; gap++) {
    if (cur >= end) { fail("a quote is not closed"); return v }
    cur++
    if (L[cur] !~ /^[ \t]*$/) break
  }
  match(L[cur], /^[ \t]*/); fp = RLENGTH + 1
  return v (gap ? repeat("\n", gap) : " ")
}
function unquote(s, c,   save, v) {
  if (c == "'") { gsub(/''/, "'", s); return s }
  if (s !~ /\\/) return s
  save = L[cur]; L[cur] = "\"" s "\""; fp = 1
  v = flow_quoted("\"")
  L[cur] = save
  return v
}
function escape(   e, n, h, v) {
  e = substr(L[cur], fp + 1, 1); fp += 2
  if (index("\"\\/ \t", e)) return e
  if (e == "n") return "\n"; if (e == "t") return "\t"; if (e == "r") return "\r"
  if (e == "b") return "\b"; if (e == "a") return "\a"; if (e == "f") return "\f"; if (e == "v") return "\v"; if (e == "e") return "\033"
  n = e == "x" ? 2 : e == "u" ? 4 : e == "U" ? 8 : 0
  h = tolower(substr(L[cur], fp, n))
  if (n == 0 || length(h) < n || h ~ /[^0-9a-f]/) { fail("a backslash sequence that is not supported"); return "" }
  fp += n
  for (v = 0; h != ""; h = substr(h, 2)) v = v * 16 + index("123456789abcdef", substr(h, 1, 1))
  if (v < 2 || v > 1114111) { fail("a backslash sequence that is not supported"); return "" }
  return utf8(v)
}
function utf8(v) {
  if (v < 128) return sprintf("%c", v)
  if (v < 2048) return sprintf("%c%c", 192 + int(v / 64), 128 + v % 64)
  if (v < 65536) return sprintf("%c%c%c", 224 + int(v / 4096), 128 + int(v / 64) % 64, 128 + v % 64)
  return sprintf("%c%c%c%c", 240 + int(v / 262144), 128 + int(v / 4096) % 64, 128 + int(v / 64) % 64, 128 + v % 64)
}
