# shellcheck shell=bash
# A process's certificate, key and pinned CA, judged as protocol/src/config/tls-material.ts and certificate-chain.ts
# do, and beyond them what TLS would refuse later. What a certificate says comes from certificates.awk, whether
# signatures are right from openssl.
# shellcheck disable=SC2154,SC2034 # here, work, now, soon, min_days, entry_* are others'

MAX_PEM_BYTES=$((256 * 1024))
MAX_SECRET_BYTES=$((64 * 1024))
MAX_CERTIFICATES=16
LABEL='[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'
ISSUE_AGAIN='issue it again with ztna-certs issue'
declare -A ca_keys=()     # public key (hex DER) of every CA certificate seen → its label
declare -A ca_domain=()   # CA entry → trust domain of its first certificate; empty when it names none
declare -A ca_verdict=()  # CA entry → usable or bad
declare -A public_key=()  # file → public key of the private key in it
declare -A dated=()       # CA entry → 1 when one of several is out of date

facts() { awk -f "$here/bytes.awk" -f "$here/certificates.awk" "$@"; }
until_date() { date -u -d "@$1" +%Y-%m-%d; }

# check_pem ENTRY FACTS: the file as a whole.
check_pem() {
  local label=${entry_label[$1]} kind file certificates keys bad rest
  while IFS='|' read -r kind file certificates keys bad rest; do [[ $kind != F ]] || break; done <"$2"
  if ((keys > 0)); then
    finding error "$label" exposed 'holds a private key where only certificates belong' 'move the key to a place of its own, and replace it if anyone could read this'
  elif ((certificates == 0)); then
    finding error "$label" parses 'holds no PEM certificate' 'put -----BEGIN CERTIFICATE----- ... there'
  elif ((certificates > MAX_CERTIFICATES)); then
    finding error "$label" parses "holds more than $MAX_CERTIFICATES certificates" 'leave those that are needed'
  elif ((bad)) || ! openssl crl2pkcs7 -nocrl -certfile "${entry_file[$1]}" -out /dev/null 2>/dev/null; then
    finding error "$label" parses 'holds a certificate that cannot be decoded' 'put the whole certificate there'
  else
    return 0
  fi
  return 1
}

# check_strength LABEL WHAT SIGNATURE KEY BITS LEAF
check_strength() {
  if [[ $4 == RSA ]] && (($5 < 2048)); then
    finding error "$1" strength "$2 has an RSA key of $5 bits" 'make an ECDSA P-256 key, or RSA of at least 2048 bits'
  elif [[ $4 != RSA && $4 != P-256 && $4 != P-384 ]] && (($6)) || [[ $4 == EC* || $4 == of* ]]; then
    finding error "$1" strength "$2 has a key $4, which TLS peers do not accept" 'make an ECDSA P-256 key'
  fi
  [[ $3 != weak ]] || finding error "$1" strength "$2 is signed with SHA-1 or MD5" 'have it signed with SHA-256'
}

# check_authority ENTRY: the pinned CA, or several while one follows the other.
check_authority() {
  local ca=$1 label out="$work/ca.$1" number kind subject issuer from to signature key bits spki is_ca uris several
  [[ -z ${ca_verdict[$ca]:-} ]] || { [[ ${ca_verdict[$ca]} == usable ]] && return 0 || return 1; }
  ca_verdict[$ca]=bad ca_domain[$ca]=''
  usable "$ca" "$MAX_PEM_BYTES" 0 || return 1
  label=${entry_label[ca]}
  check_not_writable "$ca"
  facts "${entry_file[ca]}" >"$out"
  check_pem "$ca" "$out" || return 1
  ca_verdict[$ca]=usable
  several=$(grep -c '^C' "$out")
  while IFS='|' read -r kind _ number subject issuer from to signature key bits spki is_ca _ _ _ _ uris _ _; do
    [[ $kind == C ]] || continue
    if ((!is_ca)); then
      finding error "$label" chain "holds a certificate that is not a CA's" 'put the pinned CA certificate there, and nothing else'
      ca_verdict[$ca]=bad
      continue
    fi
    ca_keys[$spki]=$label
    [[ $subject == "$issuer" ]] || finding error "$label" chain 'is an intermediate CA: TLS accepts no pinned CA that is not self-signed' 'pin the root; intermediates follow the leaf in the certificate file'
    check_strength "$label" 'the CA' "$signature" "$key" "$bits" 0
    if ((now < from || now > to)); then
      # One of several is in nobody's way, unless the chain leads to it: check_chain.
      dated[$ca]=1
      if ((several > 1)); then finding warning "$label" expiry 'holds a CA certificate that is out of date' 'take it out'
      else finding_date "$label" 'the CA certificate' "$from" "$to"; fi
    elif ((to < soon)); then
      finding warning "$label" expiry "the CA expires on $(until_date "$to"), within $min_days days" 'make a new CA and let both be trusted for a while'
    fi
    [[ $uris != spiffe://* || $uris == *,* ]] || ca_domain[$ca]+=" ${uris#spiffe://}"
  done <"$out"
  [[ ${ca_verdict[$ca]} == usable ]]
}
finding_date() {
  if ((now < $3)); then finding error "$1" expiry "$2 is not valid before $(until_date "$3")" "check this machine's clock, or $ISSUE_AGAIN"
  else finding error "$1" expiry "$2 expired on $(until_date "$4")" "$ISSUE_AGAIN"; fi
}

# check_tls ROLE CA CERTIFICATE KEY: entries. Sets identity_role, identity_name, identity_domain and
# identity_services (comma separated) to what the certificate says, empty where it says nothing usable.
check_tls() {
  local role=$1 ca=$2 crt=$3 key=$4 out="$work/crt.$3" leaf='' ca_good=0 key_good=0 in_date=1
  identity_role='' identity_name='' identity_domain='' identity_services=''
  if check_authority "$ca"; then ca_good=1; fi
  if check_key "$key"; then key_good=1; fi
  usable "$crt" "$MAX_PEM_BYTES" 0 || return 0
  facts "${entry_file[crt]}" >"$out"
  check_pem "$crt" "$out" || return 0
  local label=${entry_label[crt]} kind number subject issuer from to signature type bits spki is_ca usage purposes sans odd uris dns bytes
  while IFS='|' read -r kind _ number subject issuer from to signature type bits spki is_ca usage purposes sans odd uris dns bytes; do
    [[ $kind == C ]] || continue
    if ((is_ca)); then ca_keys[$spki]=$label; fi
    if ((number > 1)); then
      check_strength "$label" 'an intermediate' "$signature" "$type" "$bits" 0
      ((from <= now && now <= to)) || { in_date=0 && finding_date "$label" 'an intermediate' "$from" "$to"; }
      continue
    fi
    leaf=$spki
    if ((now < from || now > to)); then
      in_date=0
      finding_date "$label" 'the certificate' "$from" "$to"
    elif ((to < soon)); then
      finding warning "$label" expiry "expires on $(until_date "$to"), within $min_days days" "$ISSUE_AGAIN"
    fi
    check_strength "$label" 'the certificate' "$signature" "$type" "$bits" 1
    check_identity "$label" "$role" "$is_ca" "$sans" "$odd" "$uris" "$bytes" || continue
    check_purpose "$label" "$identity_role" "$usage" "$purposes"
    check_names "$label" "$dns"
  done <"$out"
  if ((key_good)) && [[ ${public_key[${entry_file[key]}]} != "$leaf" ]]; then
    finding error "${entry_label[key]}" key-match "is not the key of the certificate in $label" 'put the key there that was made with the certificate'
  fi
  if ((ca_good)); then check_chain "$ca" "$crt" "$in_date"; fi
}

# check_key ENTRY
check_key() {
  local file label
  usable "$1" "$MAX_SECRET_BYTES" 1 || return 1
  file=${entry_file[$1]} label=${entry_label[$1]}
  if grep -Eq 'BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED' "$file"; then
    finding error "$label" parses 'is encrypted with a passphrase' 'decrypt it: nobody is there to type a passphrase'
  elif ! read_public_key "$file"; then
    finding error "$label" parses 'holds no private key that can be read' 'put the whole PEM private key there'
  else
    return 0
  fi
  return 1
}
# read_public_key FILE → public_key[FILE], hex DER
read_public_key() {
  [[ -n ${public_key[$1]:-} ]] && return 0
  grep -q -- '-----BEGIN [A-Z ]*PRIVATE KEY-----' "$1" || return 1
  openssl pkey -in "$1" -passin pass: -pubout -outform DER -out "$work/public" </dev/null 2>/dev/null || return 1
  public_key[$1]=$(od -An -v -tx1 "$work/public" | tr -d ' \n')
}

check_identity() {
  local label=$1 role=$2 is_ca=$3 sans=$4 odd=$5 uris=$6 bytes=$7
  local pattern="^spiffe://($LABEL(\\.$LABEL)*)/(agent|connector|relay)/($LABEL)\$"
  if ((bytes > 32768)); then
    finding error "$label" identity 'is larger than the 32768 bytes that peers accept' "$ISSUE_AGAIN"
  elif ((is_ca)); then
    finding error "$label" identity 'is a CA certificate: who signs certificates must not speak for a process' "$ISSUE_AGAIN"
  elif ((sans > 1)); then
    finding error "$label" identity 'has more than one subjectAltName extension' "$ISSUE_AGAIN"
  elif ((odd)); then
    finding error "$label" identity 'has an alternative name with a character no name of ours has' "$ISSUE_AGAIN"
  elif [[ -z $uris || $uris == *,* ]]; then
    finding error "$label" identity 'must have exactly one URI name, spiffe://<trust-domain>/<role>/<name>' "$ISSUE_AGAIN"
  elif [[ ! $uris =~ $pattern ]] || ((${#BASH_REMATCH[1]} > 180)); then
    finding error "$label" identity 'its URI name is not spiffe://<trust-domain>/<agent|connector|relay>/<name>' "$ISSUE_AGAIN"
  elif [[ -n $role && ${BASH_REMATCH[5]} != "$role" ]]; then
    finding error "$label" identity "is for the role ${BASH_REMATCH[5]}, and here one for $role is needed" 'put the right certificate and key there'
  else
    identity_domain=${BASH_REMATCH[1]} identity_role=${BASH_REMATCH[5]} identity_name=${BASH_REMATCH[6]}
    if [[ $identity_domain == quickstart.test ]]; then
      finding error "$label" sample 'was made by the quickstart, which is for trying out' "$ISSUE_AGAIN, under a trust domain of your own"
    fi
    return 0
  fi
  return 1
}

# Without the extension every purpose is allowed (RFC 5280 §4.2.1.12).
check_purpose() {
  local needs=([0]=clientAuth) need
  [[ $2 != connector ]] || needs=(clientAuth serverAuth)
  [[ $2 != relay ]] || needs=(serverAuth)
  for need in "${needs[@]}"; do
    [[ -z $4 || ",$4," == *",$need,"* ]] || finding error "$1" purpose "lacks the extended key usage $need, which the role $2 needs" "$ISSUE_AGAIN"
  done
  [[ -z $3 || $3 == *d* ]] || finding error "$1" purpose 'its key usage forbids digital signatures, which TLS 1.3 needs' "$ISSUE_AGAIN"
}

check_names() {
  local dns name service wanted
  IFS=, read -r -a dns <<<"$2"
  if [[ $identity_role == relay ]]; then
    wanted=$identity_name.relay.$identity_domain
    for name in ${dns[@]+"${dns[@]}"}; do [[ ${name,,} != "$wanted" ]] || return 0; done
    finding error "$1" services "lacks the DNS name $wanted, without which every client refuses this relay" "$ISSUE_AGAIN"
  elif [[ $identity_role == connector ]]; then
    for name in ${dns[@]+"${dns[@]}"}; do
      service=${name%".svc.$identity_domain"}
      [[ $service == "$name" || ! $service =~ ^$LABEL$ ]] || identity_services+=${identity_services:+,}$service
    done
    [[ -n $identity_services ]] || finding error "$1" services "names no service: no DNS name <service>.svc.$identity_domain" 'issue it again with --service for each service'
  fi
}

# check_chain CA CERTIFICATE IN_DATE: entries, both parsed; IN_DATE 0 when a date of the chain was reported already.
check_chain() {
  local label=${entry_label[$2]} why options=(-partial_chain -no-CApath -CAfile "${entry_file[$1]}" -untrusted "${entry_file[$2]}")
  [[ $openssl_version != OpenSSL\ 3* ]] || options+=(-no-CAstore)
  if [[ -n ${ca_domain[$1]} && -n $identity_domain && " ${ca_domain[$1]} " != *" $identity_domain "* ]]; then
    finding error "$label" identity "its trust domain is $identity_domain, and that of the CA another" 'put the certificate and the CA of one trust domain there'
  elif ! openssl verify -no_check_time "${options[@]}" "${entry_file[$2]}" >"$work/verify" 2>&1; then
    why='is not signed by the CA'
    if grep -q 'subtree violation' "$work/verify"; then
      # Names that were reported already.
      [[ -n $identity_domain ]] || return 0
      why='has names that its CA may not sign (name constraints)'
    fi
    if grep -q 'path length' "$work/verify"; then why='has an intermediate that its CA may not have (path length)'; fi
    # Reported as strength already, where openssl refuses them at all.
    if grep -Eq 'too weak' "$work/verify"; then return 0; fi
    finding error "$label" chain "$why" "put the CA there that signed it (${entry_label[$1]}), or $ISSUE_AGAIN"
  elif [[ -n ${dated[$1]:-} ]] && (($3)) && (($(grep -c '^C' "$work/ca.$1") > 1)) && ! openssl verify "${options[@]}" "${entry_file[$2]}" >/dev/null 2>&1; then
    finding error "$label" expiry 'leads to a CA certificate that is out of date' "$ISSUE_AGAIN, by a CA that is valid"
  fi
}
openssl_version=$(openssl version 2>/dev/null || true)
