# Texts that stand where a secret should be. Long words count anywhere, as they cannot turn up in random base64 (26^-8);
# short ones only as the whole text.
function is_placeholder(s) {
  s = tolower(s); gsub(/^[ \t\r\n]+|[ \t\r\n]+$/, "", s)
  if (s ~ /change[-_ ]?me|replace[-_ ]?me|replace[-_ ]with|placeholder|your[-_ ](key|secret|cert|certificate|ca|token|private)[-_ ]|insert[-_ ](your|key|secret|here)|paste[-_ ](your|here|the)|dummy[-_ ]?(key|secret|value)/) return 1
  if (s ~ /^(todo|fixme|tbd|secret|password|example|sample|dummy|test|changeit|foo|bar|null|none|xxx+|\.\.\.+|redacted|\*\*\*+|0+|[.]+)$/) return 1
  return s ~ /^<[^<>]*>$/ || s ~ /^\$\{[^{}]*\}$/ || s ~ /^\$\([^()]*\)$/ || s ~ /^\$[a-z_]+$/ || s ~ /^\{\{.*\}\}$/ || s ~ /^%[a-z_]+%$/
}
