#!/usr/bin/env bash
# Checks the secrets of a deployment before the processes read them: in a cluster, in a folder or in rendered manifests.
# Owns arguments, tools, the private temporary folder and exit codes; the checks are in validate-secrets/, what each
# finding means is in docs/validate-secrets.md. No secret is ever in a shell variable or an argument: content goes
# from file to file, so neither `bash -x` nor a list of processes shows one.
set -euo pipefail
export LC_ALL=C
umask 077

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)/validate-secrets
# shellcheck source=scripts/validate-secrets/report.sh
source "$here/report.sh"
# shellcheck source=scripts/validate-secrets/entries.sh
source "$here/entries.sh"
# shellcheck source=scripts/validate-secrets/certificates.sh
source "$here/certificates.sh"
# shellcheck source=scripts/validate-secrets/registration.sh
source "$here/registration.sh"
# shellcheck source=scripts/validate-secrets/objects.sh
source "$here/objects.sh"
# shellcheck source=scripts/validate-secrets/directory.sh
source "$here/directory.sh"

usage() {
  cat <<'END'
Usage: validate-secrets.sh (--namespace NS | --dir PATH | --manifest FILE) [options]

Checks every secret that a relay, connector or agent needs, and that none is where it does not belong.

  --namespace NS   the Secrets and ConfigMaps of a namespace, read through kubectl (needs get and list on both)
  --dir PATH       files: PATH and its direct subfolders, as ztna-certs writes or Kubernetes mounts them
  --manifest FILE  rendered YAML or JSON, such as kubectl kustomize prints; - for standard input

  --role ROLE      relay, connector or agent: only what this process needs, and that it is there. May be repeated.
                   Default: every process of which something is there
  --min-days N     report what expires within N days; default 14, at most 3650
  --json           one JSON document instead of a table
  --help           this text

Exit codes: 0 nothing found, 1 findings, 2 cannot check (a tool is missing, something is unreadable, bad arguments).

Examples:
  validate-secrets.sh --dir /etc/ztna --role relay
  validate-secrets.sh --namespace ztna --json > secrets.json
  kubectl kustomize k8s/overlays/production | validate-secrets.sh --manifest - --min-days 30
END
}

source_kind='' source_name='' min_days=14 roles=()
json=0
# Before the others are looked at, so that a fault in one of them is told in JSON as well.
for argument in "$@"; do [[ $argument != --json ]] || json=1; done
while (($#)); do
  case $1 in
    --namespace | --dir | --manifest | --role | --min-days)
      (($# >= 2)) || cannot_check "$1 needs a value; see --help"
      value=$2
      case $1 in
        --role)
          [[ $value =~ ^(relay|connector|agent)$ ]] || cannot_check '--role must be relay, connector or agent'
          roles+=("$value")
          ;;
        --min-days)
          if [[ ! $value =~ ^[0-9]{1,4}$ ]] || ((10#$value > 3650)); then cannot_check '--min-days must be a whole number from 0 to 3650'; fi
          min_days=$((10#$value))
          ;;
        *)
          [[ -z $source_kind ]] || cannot_check 'give one of --namespace, --dir and --manifest; see --help'
          source_kind=${1#--} source_name=$value
          ;;
      esac
      shift 2
      ;;
    --json) shift ;;
    -h | --help) usage && exit 0 ;;
    *) cannot_check "the argument $1 is not known; see --help" ;;
  esac
done
[[ -n $source_kind ]] || cannot_check 'give one of --namespace, --dir and --manifest; see --help'
((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) || cannot_check "needs bash 4.4 or later, this is $BASH_VERSION"
tools=(openssl awk od base64 stat head tr wc grep mktemp rm date cmp)
[[ $source_kind != namespace ]] || tools+=(kubectl)
for tool in "${tools[@]}"; do
  command -v "$tool" >/dev/null || cannot_check "$tool is not installed"
done

# In memory where there is a place for that, so that no secret reaches a disk.
[[ -n ${TMPDIR:-} || ! -d /dev/shm || ! -w /dev/shm ]] || TMPDIR=/dev/shm
work=$(mktemp -d "${TMPDIR:-/tmp}/validate-secrets.XXXXXXXX") || cannot_check 'no temporary folder can be made'
export TMPDIR=$work # what bash itself puts into temporary files
trap 'rm -rf -- "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
printf 'a: [b, {c: "d"}]\n' >"$work/probe"
[[ $(yaml "$work/probe" 2>/dev/null | tr -d '\037\t\n') == 1m1aq1a0sb1a1m1a1csd ]] || cannot_check 'this awk does not do; install mawk or gawk'
now=$(date +%s)
soon=$((now + min_days * 86400))

finished=0
case $source_kind in
  namespace) check_namespace "$source_name"; finished=1 ;;
  manifest) check_manifest "$source_name"; finished=1 ;;
  dir) check_directory "$source_name"; finished=1 ;;
esac
# A fault in an expression ends the command above and not the script: what was not checked must not pass.
((finished)) || cannot_check 'a fault in this script stopped the check; please report it'
report
((${#findings[@]} == 0)) || exit 1
