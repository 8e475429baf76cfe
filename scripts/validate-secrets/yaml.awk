# YAML → one line per node, for everything here that reads YAML (manifests, keyrings, configuration). Owns the YAML
# that is accepted: block and flow maps and lists, plain, quoted and block scalars, comments, several documents.
# Anchors, aliases, tags, merge and complex keys are refused, never skipped: our processes refuse them too.
#
# Output, fields separated by tabs:   DOCUMENT  PATH  TYPE  VALUE
#   PATH   keys and list indices (from 0), each after a \037 byte; empty for the root
#   TYPE   m map, q list, s string, t any other scalar (number, true, null, ...), ! broken: VALUE says the line and why
#   VALUE  with \\ \n \t \r escaped. Messages never quote the text: it may hold secrets.
# Flow style is in yaml-flow.awk; works with mawk, gawk and busybox awk under LC_ALL=C.

BEGIN { US = "\037"; MAX_DEPTH = 32; WINDOW = 256; CHUNK = 8192; STOP["\""] = "[\"\\\\]"; STOP["'"] = "'" }
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
  else if (control(cur, to)) fail("a control character")
  else node("", -1, 0)
  if (err == "") { skip_blank(); if (cur <= end) fail("something stands where nothing can") }
  if (err != "") print doc "\t\t!\t" err
}

# \001 is what objects.awk turns text by.
function control(from, to) { for (; from <= to; from++) if (index(L[from], "\001")) return 1; return 0 }
function fail(why) { if (err == "") err = "line " (cur > NR ? NR : cur) ": " why }
function emit(path, type, value) {
  gsub(/\\/, "&&", value); gsub(/\n/, "\\n", value); gsub(/\t/, "\\t", value); gsub(/\r/, "\\r", value)
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
  if (c ~ /[[{|>#&*!%@`]/ || s ~ /^\?([ \t]|$)/) return 0
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
  else if (ch ~ /[[{"']/) {
    fp = c; fparent = k
    flow(path, depth + 1)
    if (err == "" && substr(L[cur], fp) !~ /^[ \t]*$/ && substr(L[cur], fp) !~ /^[ \t]+#/) fail("something follows a value that has ended")
    cur++
  }
  else if (ch ~ /[&*]/) fail("an anchor or alias is not supported")
  else if (ch == "!") fail("a tag is not supported")
  else if (ch ~ /[]%@`,}]/ || s ~ /^[-?:]([ \t]|$)/) fail("a character YAML reserves begins a value")
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
function block(path, header, k,   style, chomp, width, v, s, gap, i, prev, more, long) {
  if (header !~ /^[|>]([-+]?[1-9]?|[1-9][-+])[ \t]*$/ && header !~ /^[|>]([-+]?[1-9]?|[1-9][-+])[ \t]+#/) { fail("a block scalar's first line is wrong"); return }
  style = substr(header, 1, 1)
  match(header, /^[|>][-+1-9]*/); header = substr(header, 2, RLENGTH - 1)
  chomp = header ~ /-/ ? "-" : header ~ /\+/ ? "+" : ""
  if (match(header, /[1-9]/)) width = (k < 0 ? 0 : k) + substr(header, RSTART, 1)
  cur++
  if (width == "") {
    for (i = cur; i <= end && L[i] ~ /^ *$/; i++);
    # Blank lines alone are line breaks, however long.
    width = i <= end && indent_of(L[i]) > k ? indent_of(L[i]) : 1e9
  }
  gap = 0; v = ""; prev = ""; more = 0
  for (; cur <= end; cur++) {
    s = L[cur]
    if (s ~ /^ *$/ && length(s) <= width) { gap++; continue }
    if (indent_of(s) < width) break
    s = substr(s, width + 1)
    if (length(v) > CHUNK) { long = long substr(v, 1, CHUNK); v = substr(v, CHUNK + 1) }
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
  emit(path, "s", long v)
}
