# YAML → one line per node, for everything here that reads YAML (manifests, keyrings, configuration). Owns the YAML
# that is accepted: block and flow maps and lists, plain, quoted and block scalars, comments, several documents.
# Anchors, aliases, tags, merge and complex keys are refused, never skipped: our processes refuse them too.
#
# Output, fields separated by tabs:   DOCUMENT  PATH  TYPE  VALUE
#   PATH   keys and list indices (from 0), each after a \037 byte; empty for the root
#   TYPE   m map, q list, s string, t any other scalar (number, true, null, ...), ! broken: VALUE says the line and why
#   VALUE  with \\ \n \t \r escaped. Messages never quote the text: it may hold secrets.
# Works with mawk, gawk and busybox awk under LC_ALL=C.

BEGIN { US = "\037"; MAX_DEPTH = 32; WINDOW = 4096; STOP["\""] = "[\"\\\\]"; STOP["'"] = "'" }
{ sub(/\r$/, ""); if (NR == 1) sub(/^\357\273\277/, ""); L[NR] = $0 }
END {
  first = 1
  for (line = 1; line <= NR + 1; line++) {
    if (line <= NR && L[line] !~ /^(---|\.\.\.)([ \t]|$)/) continue
    document_between(first, line - 1)
    if (line <= NR) {
      first = line + 1
      if (L[line] ~ /^---[ \t]+[^# \t]/) { L[line] = "   " substr(L[line], 4); first = line }
    }
  }
}

function document_between(from, to,   i) {
  for (i = from; i <= to && L[i] ~ /^[ \t]*(#|$)/; i++);
  if (i > to) return
  doc++; err = ""; cur = i; end = to; split("", seen)
  if (L[cur] ~ /^%/) fail("a YAML directive is not supported")
  else node("", -1, 0)
  if (err == "") { skip_blank(); if (cur <= end) fail("something stands where nothing can") }
  if (err != "") print doc "\t\t!\t" err
}

function fail(why) { if (err == "") err = "line " (cur > NR ? NR : cur) ": " why }
function emit(path, type, value) {
  gsub(/\\/, "\\\\", value); gsub(/\n/, "\\n", value); gsub(/\t/, "\\t", value); gsub(/\r/, "\\r", value)
  print doc "\t" path "\t" type "\t" value
}
function indent_of(s) { match(s, /^ */); return RLENGTH }
function skip_blank() { while (cur <= end && L[cur] ~ /^[ \t]*(#|$)/) cur++ }
function scalar(path, s) { emit(path, s ~ /^(~|null|Null|NULL|true|True|TRUE|false|False|FALSE|[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))?$/ ? "t" : "s", s) }

# A node on the lines from `cur` that are indented more than `parent`.
function node(path, parent, depth,   k, s) {
  skip_blank()
  if (err != "") return
  if (depth > MAX_DEPTH) { fail("nested too deeply"); return }
  if (cur > end) { emit(path, "t", ""); return }
  k = indent_of(L[cur])
  if (k <= parent) { emit(path, "t", ""); return }
  s = substr(L[cur], k + 1)
  if (s ~ /^\t/) fail("indented with a tab")
  else if (s ~ /^-([ \t]|$)/) sequence(path, k, depth)
  else if (key_ahead(s)) mapping(path, k, depth)
  else value(path, k + 1, parent, depth)
}

function sequence(path, k, depth,   i, s) {
  emit(path, "q", "")
  for (i = 0; err == ""; i++) {
    skip_blank()
    if (cur > end || indent_of(L[cur]) != k) break
    s = substr(L[cur], k + 1)
    if (s !~ /^-([ \t]|$)/) break
    s = substr(s, 2)
    if (s ~ /^[ ]*\t/) { fail("a tab after a hyphen"); return }
    # The rest of the line is a node that begins further right.
    L[cur] = sprintf("%" (k + 1) "s", "") s
    if (s ~ /^ *(#|$)/) { cur++; node(path US i, k, depth + 1) }
    else node(path US i, k, depth + 1)
  }
  if (err == "" && cur <= end && indent_of(L[cur]) > k) fail("indented wrongly")
}

# Whether a key and its colon begin `s`; sets KEY, and REST to where the value begins.
function key_ahead(s,   c, i) {
  c = substr(s, 1, 1)
  if (c == "\"" || c == "'") {
    i = quote_end(s, c)
    if (!i || substr(s, i + 1) !~ /^[ \t]*:([ \t]|$)/) return 0
    KEY = unquote(substr(s, 2, i - 2), c)
    match(substr(s, i + 1), /^[ \t]*:/)
    REST = i + RLENGTH + 1
    return 1
  }
  if (c ~ /[\[{|>#&*!%@`]/ || s ~ /^\?([ \t]|$)/) return 0
  if (!match(s, /:([ \t]|$)/)) return 0
  i = RSTART
  KEY = substr(s, 1, i - 1)
  if (KEY ~ /[ \t]#/) return 0
  sub(/[ \t]+$/, "", KEY)
  REST = i + 1
  return KEY != ""
}
# The closing quote of the quoted text that begins `s`, or 0.
function quote_end(s, c,   i, w) {
  for (i = 2; i <= length(s); i++) {
    w = substr(s, i, WINDOW)
    if (!match(w, STOP[c])) { i += length(w) - 1; continue }
    i += RSTART - 1
    w = substr(s, i, 2)
    if (substr(w, 1, 1) == "\\") { i++; continue }
    if (c == "'" && w == "''") { i++; continue }
    return i
  }
  return 0
}

function mapping(path, k, depth,   s, p, c) {
  emit(path, "m", "")
  while (err == "") {
    skip_blank()
    if (cur > end || indent_of(L[cur]) != k) break
    s = substr(L[cur], k + 1)
    if (s ~ /^\t/) { fail("indented with a tab"); return }
    if (s ~ /^-([ \t]|$)/) break
    if (!key_ahead(s)) { fail("no \"key:\" where one is needed, or something that is not supported"); return }
    if (KEY == "<<") { fail("a merge key is not supported"); return }
    if (err != "" || !unique(path, KEY)) return
    p = path US KEY; s = substr(s, REST); c = k + REST
    if (s ~ /^[ \t]*$/ || s ~ /^[ \t]+#/) {
      cur++; skip_blank()
      # A list may stand at the key's own indentation.
      if (cur <= end && indent_of(L[cur]) == k && L[cur] ~ /^ *-([ \t]|$)/) sequence(p, k, depth + 1)
      else node(p, k, depth + 1)
    } else {
      match(s, /^[ \t]*/)
      value(p, c + RLENGTH, k, depth)
    }
  }
  if (err == "" && cur <= end && indent_of(L[cur]) > k) fail("indented wrongly")
}
function unique(path, key) {
  if (key ~ /[\001-\037\177]/) { fail("a control character in a key"); return 0 }
  if ((path US key) in seen) { fail("a key is given twice"); return 0 }
  seen[path US key] = 1
  return 1
}

# The value that begins at column `c` of the current line; what continues it is indented more than `k`.
function value(path, c, k, depth,   s, ch, v) {
  s = substr(L[cur], c); ch = substr(s, 1, 1)
  if (ch == "|" || ch == ">") block(path, s, k)
  else if (ch ~ /[\[{"']/) {
    fp = c; fparent = k
    flow(path, depth + 1)
    if (err == "" && substr(L[cur], fp) !~ /^[ \t]*$/ && substr(L[cur], fp) !~ /^[ \t]+#/) fail("something follows a value that has ended")
    cur++
  }
  else if (ch ~ /[&*]/) fail("an anchor or alias is not supported")
  else if (ch == "!") fail("a tag is not supported")
  else if (ch ~ /[%@`,\]}]/ || s ~ /^[-?:]([ \t]|$)/) fail("a character YAML reserves begins a value")
  else {
    v = plain_line(s); cur++
    if (s !~ /[ \t]#/) v = more_plain(v, k)
    if (err == "") scalar(path, v)
  }
}
function plain_line(s) {
  if (match(s, /[ \t]#/)) s = substr(s, 1, RSTART - 1)
  sub(/[ \t]+$/, "", s)
  if (s ~ /:([ \t]|$)/) fail("a second \"key:\" in one line")
  return s
}
function more_plain(v, k,   gap, s) {
  for (gap = 0; err == "" && cur <= end; cur++) {
    if (L[cur] ~ /^[ \t]*$/) { gap++; continue }
    if (indent_of(L[cur]) <= k || L[cur] ~ /^[ \t]*#/) break
    s = L[cur]; sub(/^[ \t]+/, "", s)
    v = v (gap ? repeat("\n", gap) : " ") plain_line(s); gap = 0
  }
  return v
}
function repeat(s, n,   out) { while (n-- > 0) out = out s; return out }

# | and >: RFC-like literal text, https://yaml.org/spec/1.2.2/#81-block-scalar-styles
function block(path, header, k,   style, chomp, width, v, s, gap, i, prev, more) {
  if (header !~ /^[|>]([-+]?[1-9]?|[1-9][-+])[ \t]*$/ && header !~ /^[|>]([-+]?[1-9]?|[1-9][-+])[ \t]+#/) { fail("a block scalar's first line is wrong"); return }
  style = substr(header, 1, 1)
  match(header, /^[|>][-+1-9]*/); header = substr(header, 2, RLENGTH - 1)
  chomp = header ~ /-/ ? "-" : header ~ /\+/ ? "+" : ""
  if (match(header, /[1-9]/)) width = (k < 0 ? 0 : k) + substr(header, RSTART, 1)
  cur++
  if (width == "") {
    for (i = cur; i <= end && L[i] ~ /^ *$/; i++);
    width = i <= end && indent_of(L[i]) > k ? indent_of(L[i]) : k + 1
  }
  gap = 0; v = ""; prev = ""; more = 0
  for (; cur <= end; cur++) {
    s = L[cur]
    if (s ~ /^ *$/ && length(s) <= width) { gap++; continue }
    if (indent_of(s) < width) break
    s = substr(s, width + 1)
    if (style == "|" || v == "") v = v repeat("\n", gap) s
    else {
      more = s ~ /^[ \t]/ || prev ~ /^[ \t]/
      if (gap > 1 || more) v = substr(v, 1, length(v) - 1) repeat("\n", more ? gap : gap - 1) "\n" s
      else v = substr(v, 1, length(v) - 1) (gap ? "\n" : " ") s
    }
    v = v "\n"; gap = 0; prev = s
  }
  if (chomp == "-") sub(/\n$/, "", v)
  else if (chomp == "+") v = v repeat("\n", gap)
  emit(path, "s", v)
}

# --- flow style, at column fp of line cur ---
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
function flow_plain(   w, v) {
  w = substr(L[cur], fp, WINDOW)
  if (w ~ /^[&*]/) { fail("an anchor or alias is not supported"); return "" }
  if (w ~ /^!/) { fail("a tag is not supported"); return "" }
  if (w ~ /^[%@`|>#,\]}]/ || w ~ /^[-?:]([ \t,\[\]{}]|$)/) { fail("a character YAML reserves begins a value"); return "" }
  v = ""
  while (match(w, /[,\[\]{}]|:([ \t,\[\]{}]|$)|[ \t]#/) == 0 && length(w) == WINDOW) { v = v w; fp += WINDOW; w = substr(L[cur], fp, WINDOW) }
  if (RSTART) w = substr(w, 1, RSTART - 1)
  v = v w; fp += length(w)
  sub(/[ \t]+$/, "", v)
  return v
}
function flow_quoted(c,   v, w, e) {
  fp++; v = ""
  while (err == "") {
    w = substr(L[cur], fp, WINDOW)
    if (w == "") { v = fold(v); continue }
    if (!match(w, STOP[c])) { v = v w; fp += length(w); continue }
    v = v substr(w, 1, RSTART - 1); fp += RSTART - 1
    w = substr(L[cur], fp, 2)
    if (w == "''" && c == "'") { v = v "'"; fp += 2 }
    else if (substr(w, 1, 1) == c) { fp++; return v }
    else if (w == "\\") { if (cur >= end) { fail("a quote is not closed"); return "" }; cur++; match(L[cur], /^[ \t]*/); fp = RLENGTH + 1 }
    else v = v escape()
  }
  return v
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
  if (v == 0 || v > 1114111) { fail("a backslash sequence that is not supported"); return "" }
  return utf8(v)
}
function utf8(v) {
  if (v < 128) return sprintf("%c", v)
  if (v < 2048) return sprintf("%c%c", 192 + int(v / 64), 128 + v % 64)
  if (v < 65536) return sprintf("%c%c%c", 224 + int(v / 4096), 128 + int(v / 64) % 64, 128 + v % 64)
  return sprintf("%c%c%c%c", 240 + int(v / 262144), 128 + int(v / 4096) % 64, 128 + int(v / 64) % 64, 128 + v % 64)
}
