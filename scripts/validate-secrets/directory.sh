# shellcheck shell=bash
# Files: a folder as ztna-certs writes it (ca.crt, NAME.crt, NAME.key, NAME.regkey, keyring.yaml) or as Kubernetes mounts
# it (tls/tls.crt, …). What a process reads is what its configuration names; without one, what the names say.
# shellcheck disable=SC2154,SC2034 # here, work, US, roles, ca_keys and identity_* are others'

MAX_FILES=4096
declare -A file_entry=() # path → entry
declare -A used=()       # path of a certificate, key or registration key → 1 once a process has it
files=()
root=''

check_directory() {
  [[ -d $1 && -r $1 && -x $1 ]] || cannot_check "$1 is not a folder that can be read"
  root=${1%/}
  local file base role before size
  shopt -s nullglob
  local all=()
  for file in "$root"/* "$root"/*/*; do [[ ! -f $file ]] || all+=("$file"); done
  shopt -u nullglob
  ((${#all[@]} <= MAX_FILES)) || cannot_check "$1 holds more than $MAX_FILES files"
  # Larger than anything of ours: logs and the like.
  if ((${#all[@]})); then
    while read -r -d '' size file; do
      ((size > 2 * MAX_CONFIG_BYTES)) || files+=("$file")
    done < <(stat -L --printf '%s %n\0' -- "${all[@]}")
  fi
  for file in ${files[@]+"${files[@]}"}; do
    [[ -r $file || ! $file =~ \.(crt|key|pem|regkey|ya?ml)$ ]] || cannot_check "$(path_label "$file") cannot be read: permission denied"
  done
  for file in ${files[@]+"${files[@]}"}; do [[ ! $file =~ \.ya?ml$ ]] || check_configured "$file"; done
  for file in ${files[@]+"${files[@]}"}; do
    base=${file##*/}
    if [[ $base == *.crt && -z ${used[$file]:-} ]] && ! is_ca_file "$base"; then check_named "$file"; fi
  done
  for file in ${files[@]+"${files[@]}"}; do
    base=${file##*/}
    case $base in
      *.key)
        # Named as the private key of a certificate, and holding one.
        if ((${#roles[@]})) || [[ -n ${used[$file]:-} ]] || is_ca_file "$base" || ! grep -qs -- 'PRIVATE KEY-----' "$file"; then continue; fi
        if read_public_key "$file" && [[ -n ${ca_keys[${public_key[$file]}]:-} ]]; then continue; fi
        entry_of "${file%.key}.crt"
        if usable "$REPLY" "$MAX_PEM_BYTES" 0; then :; fi
        seen[any]=1
        ;;
      keyring.yaml)
        is_asked relay || continue
        entry_of "$file"
        check_keyring "$REPLY"
        seen[any]=1
        ;;
      *.regkey | registration.yaml)
        if ((${#roles[@]})) || [[ -n ${used[$file]:-} ]]; then continue; fi
        entry_of "$file"
        before=$REPLY
        identity_role='' identity_name='' needed_services=''
        near "$file" keyring.yaml
        check_registration "$before" "$REPLY"
        seen[any]=1
        ;;
    esac
  done
  for role in ${roles[@]+"${roles[@]}"}; do
    [[ -n ${seen[$role]:-} ]] || finding error "$(path_label "$root")" present "holds no certificate of the role $role" 'put its certificate, key and the CA there'
  done
  check_files_for_ca_keys
  ((${#seen[@]} || ${#findings[@]})) || cannot_check "$1 holds nothing of a relay, connector or agent"
}
declare -A seen=() # role → 1 once a certificate of it was checked; any → 1

is_ca_file() { [[ $1 =~ ^ca([-_.].*)?\.(crt|key|pem)$ || $1 =~ [-_.]ca\.(crt|key|pem)$ ]]; }
path_label() {
  if [[ $1 == "$root" ]]; then printf .; else printf '%s' "${1#"$root"/}"; fi
}
# entry_of PATH → REPLY
entry_of() {
  if [[ -z ${file_entry[$1]:-} ]]; then
    add_entry "$(path_label "$1")" "$1" 0 1
    file_entry[$1]=$REPLY
  fi
  REPLY=${file_entry[$1]}
}
# near FILE NAME → REPLY, the entry of NAME beside FILE, above it or in a subfolder of the root; empty when nowhere
near() {
  local candidate
  REPLY=''
  for candidate in "${1%/*}/$2" "$root/$2" "$root"/*/"$2"; do
    [[ -e $candidate ]] || continue
    entry_of "$candidate"
    return 0
  done
}

# check_configured FILE: a process's configuration, if it is one.
check_configured() {
  local folder=${1%/*} key value role='' ca='' crt='' secret='' reg='' ring='' token='' retry='' sections=' ' config
  size_of "$1"
  ((file_bytes <= MAX_CONFIG_BYTES)) || return 0
  flatten "$1"
  if grep -q $'^[0-9]*\t\t!\t' "$flat"; then
    [[ ${1##*/} =~ ^(relay|connector|agent)\.ya?ml$ ]] || return 0
    finding error "$(path_label "$1")" parses 'is not the YAML that our processes read' 'the check command of the process says where'
    return 0
  fi
  while IFS='=' read -r key value; do
    case $key in
      tls.ca) ca=$value ;;
      tls.certificate) crt=$value ;;
      tls.key) secret=$value ;;
      registration.key) reg=$value ;;
      keyring) ring=$value ;;
      health.token) token=$value ;;
      retryKey) retry=$value ;;
      *) sections+="$key " ;;
    esac
  done < <(awk -F'\t' '$1 == 1 && $2 != "" { path = substr($2, 2); gsub("\037", ".", path); print path "=" (path ~ /^(tls\.(ca|certificate|key)|registration\.key|keyring|retryKey|health\.token)$/ && $3 == "s" && $4 !~ /\\/ ? $4 : "") }' "$flat")
  [[ -n $ca && -n $crt && -n $secret ]] || return 0
  if [[ -n $ring ]]; then role=relay
  elif [[ $sections == *' services '* ]]; then role=connector
  elif [[ $sections == *' relays '* ]]; then role=agent
  else return 0; fi
  absolute "$folder" "$crt" && crt=$REPLY
  absolute "$folder" "$secret" && secret=$REPLY
  used[$crt]=1 used[$secret]=1
  if [[ -n $reg ]]; then absolute "$folder" "$reg" && reg=$REPLY && used[$reg]=1; fi
  is_asked "$role" || return 0
  seen[$role]=1
  local entries=()
  absolute "$folder" "$ca" && entry_of "$REPLY" && entries+=("$REPLY")
  entry_of "$crt" && entries+=("$REPLY")
  entry_of "$secret" && entries+=("$REPLY")
  if [[ -n $reg ]]; then entry_of "$reg" && reg=$REPLY; fi
  if [[ -n $ring ]]; then absolute "$folder" "$ring" && entry_of "$REPLY" && ring=$REPLY
  else near "$1" keyring.yaml && ring=$REPLY; fi
  entry_of "$1" && config=$REPLY
  if [[ -n $token ]]; then
    absolute "$folder" "$token" && entry_of "$REPLY"
    check_bearer_token "$REPLY"
  fi
  if [[ -n $retry ]]; then
    absolute "$folder" "$retry" && entry_of "$REPLY"
    check_retry_key "$REPLY"
  fi
  check_process "$role" "${entries[@]}" "$reg" "$ring" "$config"
}
absolute() { if [[ $2 == /* ]]; then REPLY=$2; else REPLY=$1/${2#./}; fi; }

# check_named CERTIFICATE: of a process whose other files are named like it.
check_named() {
  local crt=$1 stem=${1%.crt} folder=${1%/*} role='' ca key reg='' ring uris
  uris=$(facts "$crt" 2>/dev/null | awk -F'|' '$1 == "C" && $3 == 1 { print $17 }')
  if [[ $uris =~ /(relay|connector|agent)/[^/]*$ ]]; then role=${BASH_REMATCH[1]}; fi
  [[ -z $role ]] || is_asked "$role" || return 0
  # Of no role that can be read: somebody else's, when one was asked for.
  if [[ -z $role ]] && ((${#roles[@]} == 1)); then role=${roles[0]}; fi
  seen[${role:-any}]=1
  near "$crt" ca.crt
  [[ -n $REPLY ]] || entry_of "$folder/ca.crt"
  ca=$REPLY
  entry_of "$stem.key" && key=$REPLY && used[$stem.key]=1
  near "$crt" keyring.yaml && ring=$REPLY
  if [[ $role == relay && -z $ring ]]; then entry_of "$folder/keyring.yaml" && ring=$REPLY; fi
  if [[ $role == connector || $role == agent ]]; then
    registration_of "$stem" && reg=$REPLY
  fi
  entry_of "$crt"
  check_process "$role" "$ca" "$REPLY" "$key" "$reg" "$ring" ''
}

# registration_of STEM → REPLY: STEM.regkey, else registration.yaml, else the only key that no certificate is named like.
registration_of() {
  local file others=()
  if [[ -e $1.regkey ]]; then
    entry_of "$1.regkey" && used[$1.regkey]=1
    return 0
  fi
  near "$1" registration.yaml
  if [[ -n $REPLY ]]; then
    used[${entry_file[REPLY]}]=1
    return 0
  fi
  for file in "${1%/*}"/*.regkey; do [[ ! -e $file || -e ${file%.regkey}.crt ]] || others+=("$file"); done
  if ((${#others[@]} == 1)); then
    entry_of "${others[0]}" && used[${others[0]}]=1
  elif [[ ${1##*/} == tls ]]; then
    entry_of "${1%/*}/registration.yaml"
  else
    entry_of "$1.regkey"
  fi
}

# The CA's private key, whatever the file is called; and every other private key is for its owner alone.
check_files_for_ca_keys() {
  local file
  ((${#files[@]})) || return 0
  for file in "${files[@]}"; do
    if [[ $file != *.crt ]] || ! is_ca_file "${file##*/}"; then continue; fi
    entry_of "$file"
    if check_authority "$REPLY"; then :; fi
  done
  while IFS= read -r -d '' file; do
    entry_of "$file"
    # In a certificate's file it was reported as exposed already.
    if [[ $file != *.crt ]]; then check_private "$REPLY"; fi
    if [[ $file == *.key ]] && is_ca_file "${file##*/}"; then
      finding error "${entry_label[REPLY]}" ca-key "is a CA's private key: whoever reads it can be anybody" 'keep it offline, and only certificates here'
    else
      check_ca_key "$REPLY"
    fi
  done < <(grep -lsZ -- 'PRIVATE KEY-----' "${files[@]}" || true)
}
