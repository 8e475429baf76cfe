# shellcheck shell=bash
# Secrets and ConfigMaps, from a cluster or out of rendered manifests: which objects each process reads
# (k8s/ has the same names), and what no object may hold.
# shellcheck disable=SC2154,SC2034 # here, work, US, roles, ca_keys and public_key are others'

MAX_MANIFEST_BYTES=$((32 * 1024 * 1024))
declare -A object_created=() # namespace|kind|name → creation time, or - for none
declare -A object_entry=()   # namespace|kind|name|key → entry
declare -A promised=()       # namespace|secret → the object that a controller will make it from
namespaces=()
private_entries=()           # namespace|kind|name|key of what holds a private key

check_namespace() {
  local pid
  [[ $1 =~ ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$ ]] || cannot_check '--namespace must be the name of a namespace'
  # In the background, so that a signal does not have to wait for a cluster that gives no answer.
  kubectl get secrets,configmaps --namespace "$1" --output yaml --request-timeout=30s >"$work/manifest" 2>"$work/kubectl.err" </dev/null &
  pid=$!
  wait "$pid" || cannot_check "kubectl could not read namespace $1: $(tail -n 1 "$work/kubectl.err" | head -c 300)"
  check_objects
}

check_manifest() {
  if [[ $1 == - ]]; then
    head -c $((MAX_MANIFEST_BYTES + 1)) >"$work/manifest"
  else
    [[ -f $1 && -r $1 ]] || cannot_check "$1 is not a file that can be read"
    head -c $((MAX_MANIFEST_BYTES + 1)) <"$1" >"$work/manifest"
  fi
  check_objects
}

check_objects() {
  local namespace role
  (($(wc -c <"$work/manifest") <= MAX_MANIFEST_BYTES)) || cannot_check "the manifest is larger than $MAX_MANIFEST_BYTES bytes"
  yaml "$work/manifest" >"$work/flat"
  mkdir "$work/entries"
  awk -v out="$work/entries" -f "$here/objects.awk" <"$work/flat" >"$work/index"
  read_index
  if ((${#object_created[@]} == 0)); then
    # An empty namespace lacks what a process needs, if it is said which process.
    if [[ ! -s $work/flat ]] || ((${#roles[@]} == 0)); then cannot_check 'there is no object to check'; fi
    namespaces=('')
  fi
  local found=0
  for namespace in "${namespaces[@]}"; do
    for role in relay connector; do
      if is_asked "$role" && has_process "$namespace" "$role"; then
        found=1
        "check_$role" "$namespace"
      fi
    done
  done
  if ((!found)); then
    ((${#roles[@]})) || cannot_check 'there is nothing of intermediate-server or app-connector; name the process with --role'
    for role in "${roles[@]}"; do
      [[ $role != agent ]] || cannot_check 'no agent runs in a cluster; check its files with --dir'
      "check_$role" "${namespaces[0]}"
    done
  fi
  check_ca_keys
}
is_asked() {
  local role
  ((${#roles[@]})) || return 0
  for role in "${roles[@]}"; do [[ $role != "$1" ]] || return 0; done
  return 1
}

read_index() {
  local tag a b c d e f g
  local -A known=()
  while IFS='|' read -r tag a b c d e f g; do
    case $tag in
      B) cannot_check "$a" ;;
      K)
        object_created[$a|$b|$c]=${d:--}
        [[ -n ${known[n$a]:-} ]] || { known[n$a]=1 && namespaces+=("$a"); }
        ;;
      P) promised[$a|$b]=$c ;;
      X) finding error "$b/$c $d" exposed "holds a $e outside of a Secret" 'move it into a Secret, and replace it: it has to count as known' ;;
      E)
        # stringData wins over data.
        if [[ $e == stringData || -z ${object_entry[$b|$c|$d|$f]:-} ]]; then
          add_entry "$c/$d $f" "$work/entries/$a" "$([[ $e == stringData || $c$e == ConfigMapdata ]] && echo 0 || echo 1)" 0
          object_entry[$b|$c|$d|$f]=$REPLY
        fi
        [[ $g != k ]] || private_entries+=("$b|$c|$d|$f")
        ;;
    esac
  done <"$work/index"
}

# resolve NAMESPACE KIND NAME → REPLY, the object's name: exact, or with the suffix that kustomize's generators
# add, of several the one created last.
resolve() {
  local key newest=''
  REPLY=''
  [[ -z ${object_created[$1|$2|$3]:-} ]] || { REPLY=$3 && return; }
  for key in "${!object_created[@]}"; do
    [[ $key =~ ^"$1|$2|$3-"[a-z0-9]{10}$ ]] || continue
    if [[ -z $newest || ${object_created[$key]} > $newest ]]; then newest=${object_created[$key]} REPLY=${key##*|}; fi
  done
}

has_process() {
  local key base=app-connector part
  [[ $2 != relay ]] || base=intermediate-server
  for key in "${!object_created[@]}"; do
    [[ $key == "$1|"* ]] || continue
    [[ $key =~ ^"$1|"(Secret|ConfigMap|Deployment|StatefulSet|DaemonSet)\|"$base"(-tls|-keyring|-registration)?(-[a-z0-9]{10})?$ ]] && return 0
  done
  for part in tls keyring registration; do [[ -z ${promised[$1|$base-$part]:-} ]] || return 0; done
  return 1
}

# secret NAMESPACE NAME KEY… → entries, one per key; false when the Secret as a whole is missing or made elsewhere.
secret() {
  local namespace=$1 base=$2 name key
  shift 2
  entries=()
  resolve "$namespace" Secret "$base"
  name=$REPLY
  if [[ -z $name ]]; then
    if [[ -n ${promised[$namespace|$base]:-} ]]; then
      skip "Secret/$base" "is made from ${promised[$namespace|$base]}; check it in the cluster, with --namespace"
    else
      finding error "Secret/$base" present 'is missing' "create it with the keys $*"
    fi
    return 1
  fi
  for key in "$@"; do
    if [[ -z ${object_entry[$namespace|Secret|$name|$key]:-} ]]; then
      add_entry "Secret/$name $key" '' 0 0
      object_entry[$namespace|Secret|$name|$key]=$REPLY
    fi
    entries+=("${object_entry[$namespace|Secret|$name|$key]}")
  done
}

check_relay() {
  local tls=() keyring='' name entries=()
  if secret "$1" intermediate-server-keyring keyring.yaml; then
    keyring=${entries[0]}
    resolve "$1" Secret intermediate-server-keyring
    name=${object_entry[$1|Secret|$REPLY|retry.key]:-}
    if [[ -n $name ]] && usable "$name" "$MAX_SECRET_BYTES" 0; then :; fi
  fi
  if secret "$1" intermediate-server-tls ca.crt tls.crt tls.key; then
    tls=("${entries[@]}")
    check_process relay "${tls[0]}" "${tls[1]}" "${tls[2]}" '' "$keyring" ''
  elif [[ -n $keyring ]]; then
    check_keyring "$keyring"
  fi
}

check_connector() {
  local registration='' keyring='' config entries=()
  if secret "$1" app-connector-registration registration.yaml; then registration=${entries[0]}; fi
  resolve "$1" Secret intermediate-server-keyring
  keyring=${object_entry[$1|Secret|$REPLY|keyring.yaml]:-}
  resolve "$1" ConfigMap app-connector
  config=${object_entry[$1|ConfigMap|$REPLY|connector.yaml]:-}
  [[ -n $config ]] || skip 'ConfigMap/app-connector connector.yaml' 'is not there, so its services were not held against the certificate'
  if secret "$1" app-connector-tls ca.crt tls.crt tls.key; then
    check_process connector "${entries[0]}" "${entries[1]}" "${entries[2]}" "$registration" "$keyring" "$config"
  elif [[ -n $registration ]]; then
    identity_role='' identity_name='' needed_services=''
    check_registration "$registration" "$keyring"
  fi
}

# The private key of a CA is in no object at all, whatever its name. CA certificates are those seen so far, and
# those that lie beside a key.
check_ca_keys() {
  local item entry key prefix spki is_ca kind file files=()
  local labels=('') # counted from 1, as certificates.awk does
  for item in ${private_entries[@]+"${private_entries[@]}"}; do
    prefix=${item%|*}
    for key in "${!object_entry[@]}"; do
      [[ $key == "$prefix|"* && $key =~ \.(crt|pem|cer)$ ]] || continue
      entry=${object_entry[$key]}
      if decoded "$entry"; then files+=("${entry_file[entry]}") && labels+=("${entry_label[entry]}"); fi
    done
  done
  if ((${#files[@]})); then
    while IFS='|' read -r kind file _ _ _ _ _ _ _ _ spki is_ca _; do
      if [[ $kind == C ]] && ((is_ca)); then ca_keys["$spki"]=${labels[file]}; fi
    done < <(facts "${files[@]}")
  fi
  for item in ${private_entries[@]+"${private_entries[@]}"}; do
    entry=${object_entry[$item]}
    if [[ $item == *'|ConfigMap|'* ]]; then
      finding error "${entry_label[entry]}" exposed 'holds a private key outside of a Secret' 'move it into a Secret, and replace it: it has to count as known'
    elif decoded "$entry"; then
      check_ca_key "$entry"
    fi
  done
}
# check_ca_key ENTRY
check_ca_key() {
  local file=${entry_file[$1]}
  read_public_key "$file" && [[ -n ${ca_keys[${public_key[$file]}]:-} ]] || return 0
  finding error "${entry_label[$1]}" ca-key "is the private key of the CA in ${ca_keys[${public_key[$file]}]}: whoever reads it can be anybody" 'take it away, keep it offline, and consider a new CA'
}
# decoded ENTRY: true when its bytes are at hand.
decoded() {
  [[ -n ${entry_file[$1]} ]] || return 1
  [[ ${entry_base64[$1]} == 1 ]] || return 0
  base64 -d <"${entry_file[$1]}" >"${entry_file[$1]}.decoded" 2>/dev/null || return 1
  entry_file[$1]+=.decoded entry_base64[$1]=0
}
