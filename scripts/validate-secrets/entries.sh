# shellcheck shell=bash
# The pieces of content that are checked, whatever they came from: a file, or a key of a Secret. Owns whether one is
# there, of a size our processes read, not a placeholder, and (files) private enough.
# shellcheck disable=SC2154,SC2034 # here, work and now are validate-secrets.sh's; flat is for others

entry_label=() # for people
entry_file=()  # where its bytes are; empty when missing
entry_state=() # new, usable or bad
entry_base64=() # 1: entry_file holds base64 still
entry_mode=()  # 1: a file whose permissions count

# add_entry LABEL FILE BASE64 MODE → REPLY, its number
add_entry() {
  REPLY=${#entry_label[@]}
  entry_label+=("$1") entry_file+=("$2") entry_base64+=("$3") entry_mode+=("$4") entry_state+=(new)
}

# size_of FILE → file_bytes; asked once, as nothing here changes a file.
declare -A known_bytes=()
size_of() {
  [[ -n ${known_bytes[$1]:-} ]] || known_bytes[$1]=$(wc -c <"$1")
  file_bytes=${known_bytes[$1]}
}

# usable ENTRY MAX_BYTES SECRET: true when there is content to parse; reports what is wrong with it, once.
usable() {
  local entry=$1
  if [[ ${entry_state[entry]} == new ]]; then
    entry_state[entry]=bad
    if is_there "$entry" "$2"; then entry_state[entry]=usable; fi
    if (($3)); then check_private "$entry"; fi
  fi
  [[ ${entry_state[entry]} == usable ]]
}

is_there() {
  local label=${entry_label[$1]} file=${entry_file[$1]} verdict
  mark_checked "$label"
  if [[ -z $file || ! -e $file ]]; then
    finding error "$label" present 'is missing' 'add it; docs/certificates.md says what makes it'
    return 1
  fi
  [[ -f $file ]] || { finding error "$label" present 'is not a regular file' 'put a file there' && return 1; }
  [[ -r $file ]] || cannot_check "$label cannot be read: permission denied"
  size_of "$file"
  if ((file_bytes > 2 * $2)); then
    finding error "$label" parses "is larger than the $2 bytes that are read" 'put the right content there'
    return 1
  fi
  verdict=$(judge "$file")
  if [[ $verdict == content && ${entry_base64[$1]} == 1 ]]; then
    if ! base64 -d <"$file" >"$file.decoded" 2>/dev/null; then
      finding error "$label" encoding 'is not base64' 'put base64 under data, or plain text under stringData'
      return 1
    fi
    entry_file[$1]=$file.decoded entry_base64[$1]=0
    file=$file.decoded
    verdict=$(judge "$file")
  fi
  case $verdict in
    empty) finding error "$label" nonempty 'is empty' 'put its content there' ;;
    placeholder) finding error "$label" placeholder 'is a placeholder' 'replace it with the real content' ;;
    *)
      size_of "$file"
      ((file_bytes > $2)) || return 0
      finding error "$label" parses "is larger than the $2 bytes that are read" 'put the right content there'
      ;;
  esac
  return 1
}
judge() { awk -f "$here/bytes.awk" -f "$here/placeholder.awk" -f "$here/judge-text.awk" <"$1"; }

# As protocol/src/config/secret-file.ts: nobody but the owner; or root's file, readable by the one group that
# ZTNA_SECRETS_GROUP names, which is what a Kubernetes volume with fsGroup looks like.
check_private() {
  local label=${entry_label[$1]} file=${entry_file[$1]} mode owner group
  [[ ${entry_mode[$1]} == 1 && -f $file ]] || return 0
  read -r mode owner group < <(stat -Lc '%a %u %g' -- "$file")
  ((8#$mode & 8#077)) || return 0
  [[ -z ${ZTNA_SECRETS_GROUP:-} || $owner != 0 || $group != "$ZTNA_SECRETS_GROUP" ]] || ((8#$mode & 8#037)) || return 0
  finding error "$label" permissions "has mode $mode: others than its owner can get at it" 'chmod 600'
}

# What everyone trusts must not be everyone's to change.
check_not_writable() {
  local mode
  [[ ${entry_mode[$1]} == 1 && -f ${entry_file[$1]} ]] || return 0
  mode=$(stat -Lc %a -- "${entry_file[$1]}")
  ((!(8#$mode & 8#022))) || finding error "${entry_label[$1]}" permissions "has mode $mode: others than its owner can change it" 'chmod 644'
}

# yaml FILE: as yaml.awk. NUL bytes would end the text early for some awks.
yaml() {
  # shellcheck disable=SC2094 # cmp only reads
  if ! tr -d '\000' <"$1" | cmp -s - "$1"; then
    printf '1\t\t!\tholds a NUL byte\n'
    return
  fi
  awk -f "$here/yaml.awk" -f "$here/yaml-flow.awk" <"$1"
}
# flatten FILE → flat, the file with what yaml makes of it; read once.
declare -A flat_of=()
flatten() {
  if [[ -z ${flat_of[$1]:-} ]]; then
    flat_of[$1]=$work/flat.${#flat_of[@]}
    yaml "$1" >"${flat_of[$1]}"
  fi
  flat=${flat_of[$1]}
}
# YAML of our processes is UTF-8, and refused otherwise.
is_utf8() { ! grep -q $'[\x80-\xff]' "$1" || ! command -v iconv >/dev/null || iconv -f UTF-8 -t UTF-8 <"$1" >/dev/null 2>&1; }

# check_retry_key ENTRY: as protocol/src/config/retry-key-file.ts: base64 with padding, of 32 to 256 bytes, and nothing else.
check_retry_key() {
  local one=$work/retry
  usable "$1" "$MAX_SECRET_BYTES" 1 || return 0
  awk '{ text = text (NR > 1 ? "\n" : "") $0 } END { gsub(/^[ \t\r\n]+|[ \t\r\n]+$/, "", text); printf "%s", text }' <"${entry_file[$1]}" >"$one"
  if base64 -d <"$one" >"$one.bytes" 2>/dev/null && base64 <"$one.bytes" | tr -d '\n' | cmp -s - "$one"; then
    file_bytes=$(wc -c <"$one.bytes")
    ((file_bytes < 32 || file_bytes > 256)) || return 0
  fi
  finding error "${entry_label[$1]}" parses 'is not a Retry key: base64 of 32 to 256 bytes' 'make one with ztna-certs retry-key'
}

# check_bearer_token ENTRY: as protocol/src/observe/bearer-token.ts.
check_bearer_token() {
  usable "$1" "$MAX_SECRET_BYTES" 1 || return 0
  if awk 'NR == 1 { sub(/\r$/, ""); good = length($0) >= 16 && length($0) <= 512 && $0 ~ /^[A-Za-z0-9._~+\/-]+=*$/ } END { exit !(good && NR == 1) }' <"${entry_file[$1]}"; then return 0; fi
  finding error "${entry_label[$1]}" parses 'is not a token on one line: 16 to 512 of A-Z, a-z, 0-9 and -._~+/' 'make one with openssl rand -base64 32'
}
