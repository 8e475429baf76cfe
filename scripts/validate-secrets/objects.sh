# shellcheck shell=bash
# Secrets and ConfigMaps, from a cluster or out of rendered manifests: which objects each process reads
# (k8s/ has the same names), and what no object may hold.
#
# kustomize's namePrefix and nameSuffix make several processes of one kind: a variant is "PREFIX/SUFFIX", "/" for the
# names as k8s/ has them, "/-2" for intermediate-server-2 with intermediate-server-tls-2.
# shellcheck disable=SC2154,SC2034 # here, work, US, roles, ca_keys and public_key are others'

MAX_MANIFEST_BYTES=$((32 * 1024 * 1024))
declare -A object_created=() # namespace|kind|name → creation time, or - for none
declare -A object_entry=()   # namespace|kind|name|key → entry
declare -A promised=()       # namespace|secret → the object that a controller will make it from
declare -A variants=()       # namespace|base|variant → what of it is there, words of tls, keyring, registration, process
namespaces=()
several_namespaces=0
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
  local namespace role variant
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
  find_variants
  local found=0
  for namespace in "${namespaces[@]}"; do
    for role in relay connector; do
      is_asked "$role" || continue
      variants_of "$namespace" "$role"
      for variant in ${REPLY_LIST[@]+"${REPLY_LIST[@]}"}; do
        found=1
        "check_$role" "$namespace" "$variant"
      done
    done
  done
  if ((!found)); then
    ((${#roles[@]})) || cannot_check 'there is nothing of intermediate-server or app-connector; name the process with --role'
    for role in "${roles[@]}"; do
      [[ $role != agent ]] || cannot_check 'no agent runs in a cluster; check its files with --dir'
      "check_$role" "${namespaces[0]}" /
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
  several_namespaces=$(awk -F'|' '/^B/ { next } $1 == "K" && $3 !~ /^(Secret|ConfigMap)$/ { next } { n += !seen[$1 == "E" ? $3 : $2]++ } END { print (n > 1) }' "$work/index")
  while IFS='|' read -r tag a b c d e f g; do
    case $tag in
      B) cannot_check "$a" ;;
      K)
        object_created[$a|$b|$c]=${d:--}
        [[ -n ${known[n$a]:-} ]] || { known[n$a]=1 && namespaces+=("$a"); }
        ;;
      P) promised[$a|$b]=$c ;;
      X)
        label_of "$a" "$b/$c"
        finding error "$REPLY $d" exposed "holds a $e outside of a Secret" 'move it into a Secret, and replace it: it has to count as known'
        ;;
      E)
        # stringData wins over data.
        if [[ $e == stringData || -z ${object_entry[$b|$c|$d|$f]:-} ]]; then
          label_of "$b" "$c/$d"
          add_entry "$REPLY $f" "$work/entries/$a" "$([[ $e == stringData || $c$e == ConfigMapdata ]] && echo 0 || echo 1)" 0
          object_entry[$b|$c|$d|$f]=$REPLY
        fi
        [[ $g != k ]] || private_entries+=("$b|$c|$d|$f")
        ;;
    esac
  done <"$work/index"
}

# label_of NAMESPACE OBJECT → REPLY, what people call it: with its namespace where there are several.
label_of() {
  REPLY=$2
  if ((several_namespaces)) && [[ -n $1 ]]; then REPLY=$1/$2; fi
}

HASH='[2456789bcdfghkmt]{10}' # kustomize's alphabet, which has no vowel: words are none
# resolve NAMESPACE KIND NAME → REPLY, the object's name: exact, or with the hash that kustomize's generators
# add, of several the one created last.
resolve() {
  local key newest=''
  REPLY=''
  [[ -z ${object_created[$1|$2|$3]:-} ]] || { REPLY=$3 && return; }
  for key in "${!object_created[@]}"; do
    [[ $key =~ ^"$1|$2|$3-"$HASH$ ]] || continue
    if [[ -z $newest || ${object_created[$key]} > $newest ]]; then newest=${object_created[$key]} REPLY=${key##*|}; fi
  done
}

# find_variants: what there is of each process, by the names of objects.
find_variants() {
  local key namespace kind name base part
  for key in "${!object_created[@]}" "${!promised[@]}"; do
    namespace=${key%%|*} name=${key##*|} kind=${key#*|}
    kind=${kind%|*}
    [[ $kind != "$name" ]] || kind=Secret # promised
    for base in intermediate-server app-connector; do
      if [[ $kind == Secret && $name =~ ^(.*-)?"$base"-(tls|keyring|registration)(-.+)?$ ]]; then part=${BASH_REMATCH[2]}
      elif [[ $kind =~ ^(ConfigMap|Deployment|StatefulSet|DaemonSet)$ && $name =~ ^(.*-)?"$base"()(-.+)?$ ]]; then part=process
      else continue; fi
      local prefix=${BASH_REMATCH[1]} suffix=${BASH_REMATCH[3]}
      [[ $kind =~ ^(Secret|ConfigMap)$ && $suffix =~ ^(.*)-$HASH$ ]] && suffix=${BASH_REMATCH[1]}
      variants[$namespace|$base|$prefix/$suffix]+="$part "
    done
  done
}

# variants_of NAMESPACE ROLE → REPLY_LIST: those that are a process; a lone Secret under another name is somebody's copy.
variants_of() {
  local key base=app-connector part=registration parts
  [[ $2 != relay ]] || base=intermediate-server part=keyring
  REPLY_LIST=()
  for key in ${variants[@]+"${!variants[@]}"}; do
    [[ $key == "$1|$base|"* ]] || continue
    parts=" ${variants[$key]}"
    if [[ $key == *'|/' || $parts == *' tls '* && $parts == *" $part "* || $parts == *' process '* && $parts =~ ' '(tls|"$part")' ' ]]; then
      REPLY_LIST+=("${key##*|}")
    elif [[ $parts =~ ' '(tls|"$part")' ' ]]; then
      name_of "${key##*|}" "$base-${BASH_REMATCH[1]}"
      label_of "$1" "Secret/$REPLY"
      skip "$REPLY" 'is named as of a process of which nothing else is there'
    fi
  done
}
# name_of VARIANT NAME → REPLY
name_of() { REPLY=${1%%/*}$2${1#*/}; }

# secret NAMESPACE VARIANT NAME KEY… → entries, one per key; false when the Secret as a whole is missing or made elsewhere.
secret() {
  local namespace=$1 base name key label
  name_of "$2" "$3"
  base=$REPLY
  shift 3
  entries=()
  resolve "$namespace" Secret "$base"
  name=$REPLY
  label_of "$namespace" "Secret/${name:-$base}"
  label=$REPLY
  if [[ -z $name ]]; then
    if [[ -n ${promised[$namespace|$base]:-} ]]; then
      skip "$label" "is made from ${promised[$namespace|$base]}; check it in the cluster, with --namespace${namespace:+ $namespace}"
    else
      finding error "$label" present 'is missing' "create it with the keys $*"
    fi
    return 1
  fi
  for key in "$@"; do
    if [[ -z ${object_entry[$namespace|Secret|$name|$key]:-} ]]; then
      add_entry "$label $key" '' 0 0
      object_entry[$namespace|Secret|$name|$key]=$REPLY
    fi
    entries+=("${object_entry[$namespace|Secret|$name|$key]}")
  done
}

# entry_in NAMESPACE KIND NAME KEY → REPLY, the entry of an object that may be missing; empty then.
entry_in() {
  resolve "$1" "$2" "$3"
  REPLY=${object_entry[$1|$2|$REPLY|$4]:-}
}

# check_relay NAMESPACE VARIANT
check_relay() {
  local tls=() keyring='' entries=()
  if secret "$1" "$2" intermediate-server-keyring keyring.yaml; then
    keyring=${entries[0]}
    name_of "$2" intermediate-server-keyring
    entry_in "$1" Secret "$REPLY" retry.key
    [[ -z $REPLY ]] || check_retry_key "$REPLY"
  fi
  if secret "$1" "$2" intermediate-server-tls ca.crt tls.crt tls.key; then
    tls=("${entries[@]}")
    check_process relay "${tls[0]}" "${tls[1]}" "${tls[2]}" '' "$keyring" ''
  elif [[ -n $keyring ]]; then
    check_keyring "$keyring"
  fi
}

# check_connector NAMESPACE VARIANT
check_connector() {
  local registration='' config keyring keyrings entries=()
  if secret "$1" "$2" app-connector-registration registration.yaml; then registration=${entries[0]}; fi
  name_of "$2" app-connector
  entry_in "$1" ConfigMap "$REPLY" connector.yaml
  config=$REPLY
  if [[ -z $config ]]; then
    name_of "$2" app-connector
    label_of "$1" "ConfigMap/$REPLY"
    skip "$REPLY connector.yaml" 'is not there, so its services were not held against the certificate'
  fi
  keyrings_for "$1" "$config"
  keyrings=("${REPLY_LIST[@]}")
  if secret "$1" "$2" app-connector-tls ca.crt tls.crt tls.key; then
    check_process connector "${entries[0]}" "${entries[1]}" "${entries[2]}" "$registration" "${keyrings[0]}" "$config"
  elif [[ -n $registration ]]; then
    identity_role='' identity_name='' needed_services=''
    check_registration "$registration" "${keyrings[0]}"
  fi
  [[ -n $registration ]] || return 0
  for keyring in "${keyrings[@]:1}"; do check_registration "$registration" "$keyring"; done
}

# keyrings_for NAMESPACE CONFIG → REPLY_LIST, the keyrings at hand of the relays that a connector dials by the name of their
# Service; where it names none such, that of its own namespace. One empty item when there is none.
keyrings_for() {
  local host namespace prefix suffix found=()
  if [[ -n $2 ]] && usable "$2" "$MAX_CONFIG_BYTES" 0; then
    flatten "${entry_file[$2]}"
    while IFS= read -r host; do
      [[ ${host%:*} =~ ^([a-z0-9-]+-)?intermediate-server(-[a-z0-9-]+)?(\.([a-z0-9-]+)(\.svc(\..*)?)?)?$ ]] || continue
      prefix=${BASH_REMATCH[1]} suffix=${BASH_REMATCH[2]} namespace=${BASH_REMATCH[4]:-$1}
      entry_in "$namespace" Secret "${prefix}intermediate-server-keyring$suffix" keyring.yaml
      [[ -z $REPLY ]] || found+=("$REPLY")
    done < <(awk -F'\t' '{ n = split($2, key, "\037"); if (n == 4 && key[2] == "relays" && key[4] == "address" && $3 == "s") print $4 }' "$flat")
  fi
  if ((${#found[@]} == 0)); then
    entry_in "$1" Secret intermediate-server-keyring keyring.yaml
    found=("$REPLY")
  fi
  REPLY_LIST=("${found[@]}")
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
