# shellcheck shell=bash
# Registration keys: the relay's keyring, the client's key file, and one against the other where both are at hand.
# What a well-formed one is, is registration.awk's.
# shellcheck disable=SC2154,SC2034 # here, work, now, min_days, US, entry_* and identity_* are others'

MAX_CONFIG_BYTES=$((1024 * 1024))
NEW_KEY='make a key with ztna-certs keygen'
declare -A keyring_verdict=() # keyring entry → usable or bad; its keys are in $work/keyring.ENTRY

# read_registration MODE ENTRY CHECK: faults → findings; true when there is none, keys in $work/MODE.ENTRY.
read_registration() {
  local label=${entry_label[$2]} file kind what rest out="$work/$1.$2"
  usable "$2" "$MAX_CONFIG_BYTES" 1 || return 1
  file=${entry_file[$2]}
  size_of "$file"
  if ((file_bytes > (${#1} == 3 ? MAX_SECRET_BYTES : MAX_CONFIG_BYTES))); then
    finding error "$label" parses 'is too large' "$NEW_KEY"
    return 1
  fi
  is_utf8 "$file" || { finding error "$label" parses 'is not UTF-8 text' "$NEW_KEY" && return 1; }
  flatten "$file"
  if grep -q $'^[0-9]*\t\t!\t' "$flat"; then
    finding error "$label" parses 'is not the YAML that our processes read' "$NEW_KEY"
    return 1
  fi
  awk -v mode="$1" -v now="$now" -v out="$out" -f "$here/bytes.awk" -f "$here/placeholder.awk" -f "$here/registration.awk" <"$flat" >"$out"
  local good=0
  while IFS='|' read -r kind what rest; do
    case $kind in
      fault) finding error "$label" "$3" "$what" "$NEW_KEY" ;;
      placeholder) finding error "$label" placeholder "$what is a placeholder" "$NEW_KEY" ;;
      sample) finding error "$label" sample "$what is a known or made-up value: anybody can sign with it" "$NEW_KEY" ;;
      *) continue ;;
    esac
    good=1
  done <"$out"
  return "$good"
}

# check_keyring ENTRY: the relay's.
check_keyring() {
  local keyring=$1 label=${entry_label[$1]} kind number id algorithm role identities services standing left active=0
  [[ -z ${keyring_verdict[$keyring]:-} ]] || return 0
  keyring_verdict[$keyring]=bad
  read_registration keyring "$keyring" keyring || return 0
  keyring_verdict[$keyring]=usable
  while IFS='|' read -r kind number id algorithm role identities services standing left; do
    [[ $kind == key && $standing == active ]] || continue
    active=$((active + 1))
    ((left >= min_days * 86400)) || has_successor "$keyring" "$number" "$role" "$identities" "$services" ||
      finding warning "$label" expiry "key $id expires on $(until_date $((now + left))), within $min_days days" 'add a new key, move the client to it, then remove this one'
  done <"$work/keyring.$keyring"
  ((active)) || finding error "$label" active-key 'has no key that is valid now: nobody can register' "$NEW_KEY"
}
# Another active key of the same scope that lasts.
has_successor() {
  local kind number _id _algorithm role identities services standing left
  while IFS='|' read -r kind number _id _algorithm role identities services standing left; do
    [[ $kind == key && $standing == active && $number != "$2" && $role == "$3" && $identities == "$4" && $services == "$5" ]] || continue
    ((left < min_days * 86400)) || return 0
  done <"$work/keyring.$1"
  return 1
}

# check_registration KEY KEYRING: entries, KEYRING empty when there is none at hand. Looks at identity_* of check_tls
# and at needed_services (comma separated).
check_registration() {
  local label=${entry_label[$1]} id algorithm kind number of role identities services standing _left
  read_registration key "$1" registration || return 0
  IFS='|' read -r _ _ id algorithm role identities services <"$work/key.$1"
  # What the file says of itself: a process refuses the wrong role and identity. Services the keyring may have been given since.
  if [[ -n $role ]]; then
    [[ -z ${2:-} ]] || services='*'
    check_scope warning "$label" "$id" "$role" "$identities" "$services"
  fi
  [[ -n ${2:-} ]] || return 0
  check_keyring "$2"
  [[ ${keyring_verdict[$2]} == usable ]] || return 0
  while IFS='|' read -r kind number of _algorithm role identities services standing _left; do
    [[ $kind == key && $of == "$id" ]] || continue
    if [[ $algorithm != "$_algorithm" ]] || ! same_key "$algorithm" "$work/key.$1" "$work/keyring.$2.$number"; then
      finding error "$label" registration "is not the key $id that ${entry_label[$2]} holds" "$NEW_KEY, or put its two halves there"
    fi
    [[ $standing == active ]] || finding error "$label" active-key "the keyring's key $id is not valid now" "$NEW_KEY"
    check_scope error "$label" "$id" "$role" "$identities" "$services"
    return 0
  done <"$work/keyring.$2"
  finding error "$label" registration "${entry_label[$2]} has no key $id" "add it with ztna-certs keygen --keyring"
}
# check_scope SEVERITY LABEL ID ROLE IDENTITIES SERVICES: what a key may register against identity_* and needed_services;
# SEVERITY is that of a service it may not. What file and keyring both lack is found once.
check_scope() {
  local name
  [[ -n $identity_name ]] || return 0
  if [[ $4 != "$identity_role" ]]; then
    finding error "$2" registration "key $3 is for the role $4, the certificate for $identity_role" "$NEW_KEY for the role $identity_role"
    return 0
  fi
  [[ $5 == '*' || ",$5," == *",$identity_name,"* ]] ||
    finding error "$2" registration "key $3 may not register the identity $identity_name" "$NEW_KEY with --identity $identity_name"
  for name in ${needed_services//,/ }; do
    [[ $6 == '*' || ",$6," == *",$name,"* ]] ||
      finding "$1" "$2" registration "key $3 may not register the service $name" "$NEW_KEY with --service $name"
  done
}
# same_key ALGORITHM CLIENT KEYRING: prefixes of the files that registration.awk wrote.
same_key() {
  [[ $1 == ed25519 ]] || { cmp -s "$2.key" "$3" && return 0 || return 1; }
  openssl pkey -in "$2.pem" -pubout -outform DER -out "$work/public" </dev/null 2>/dev/null || return 1
  [[ $(od -An -v -tx1 "$work/public" | tr -d ' \n') == "302a300506032b6570032100$(<"$3")" ]]
}

# services_of ENTRY → REPLY, the names under `services` of a connector's configuration, comma separated
services_of() {
  REPLY=''
  [[ -n ${1:-} ]] && usable "$1" "$MAX_CONFIG_BYTES" 0 || return 0
  flatten "${entry_file[$1]}"
  if grep -q $'^[0-9]*\t\t!\t' "$flat"; then
    finding error "${entry_label[$1]}" parses 'is not the YAML that our processes read' 'app-connector check -c FILE says where'
    return 0
  fi
  REPLY=$(awk -F'\t' '{ n = split($2, key, "\037"); if (n == 3 && key[2] == "services" && key[3] ~ /^[a-z0-9-]+$/) printf "%s%s", (k++ ? "," : ""), key[3] }' "$flat")
}

# check_process ROLE CA CERTIFICATE KEY REGISTRATION KEYRING CONFIG: entries, the last three may be empty.
check_process() {
  local role=$1 name missing=''
  check_tls "$role" "$2" "$3" "$4"
  role=${role:-$identity_role}
  needed_services=$identity_services
  if [[ $role == connector ]]; then
    services_of "${7:-}"
    if [[ -n $REPLY ]]; then
      needed_services=$REPLY
      for name in ${REPLY//,/ }; do [[ ",$identity_services," == *",$name,"* ]] || missing+=${missing:+, }$name; done
      if [[ -n $missing && -n $identity_services ]]; then
        finding error "${entry_label[$3]}" services "gives no right to serve $missing, which ${entry_label[$7]} names" "issue it again with --service for each service"
      fi
    fi
  fi
  case $role in
    relay) if [[ -n ${6:-} ]]; then check_keyring "$6"; fi ;;
    connector | agent) if [[ -n ${5:-} ]]; then check_registration "$5" "${6:-}"; fi ;;
  esac
}
