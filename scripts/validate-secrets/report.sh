# shellcheck shell=bash
# What was found: collects findings and prints them as a table or as JSON. All text is reduced to printable ASCII
# here, so that nothing out of a manifest can steer a terminal or break the JSON.
# shellcheck disable=SC2154 # json, source_kind, source_name and roles are validate-secrets.sh's

findings=() # severity, object, check, finding, action; separated by \037
skipped=()  # object, reason
checked=()  # objects
declare -A reported=()
US=$'\037'

# finding SEVERITY OBJECT CHECK TEXT ACTION
# error: a process refuses it, or it is not safe. warning: works now, and should not stay so.
finding() {
  local line='' field
  for field in "$@"; do line+=${line:+$US}${field//[^ -~]/?}; done
  [[ -z ${reported[$line]:-} ]] || return 0
  reported[$line]=1
  findings+=("$line")
}
skip() { skipped+=("${1//[^ -~]/?}$US${2//[^ -~]/?}"); }
mark_checked() {
  [[ -z ${reported[object $1]:-} ]] || return 0
  reported[object $1]=1
  checked+=("${1//[^ -~]/?}")
}
printable() { printf '%s' "${1//[^ -~]/?}"; }

# Stops here: what was asked for cannot be judged.
cannot_check() {
  local message
  message=$(printable "$1")
  printf 'validate-secrets: %s\n' "$message" >&2
  if ((${json:-0})); then printf '{"version":1,"error":%s}\n' "$(quoted "$message")"; fi
  exit 2
}

quoted() {
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}
list() {
  local item separator=''
  printf '['
  for item in "$@"; do
    printf '%s' "$separator"
    quoted "$item"
    separator=,
  done
  printf ']'
}
count() {
  local line number=0
  for line in ${findings[@]+"${findings[@]}"}; do [[ $line != "$1$US"* ]] || number=$((number + 1)); done
  printf '%s' "$number"
}

report() { if ((json)); then report_json; else report_table; fi; }

report_json() {
  local line separator='' severity object check text action reason
  printf '{"version":1,"source":{"kind":%s,"name":%s},"roles":' "$(quoted "$source_kind")" "$(quoted "$(printable "$source_name")")"
  list ${roles[@]+"${roles[@]}"}
  printf ',"checked":'
  list ${checked[@]+"${checked[@]}"}
  printf ',"skipped":['
  for line in ${skipped[@]+"${skipped[@]}"}; do
    IFS=$US read -r object reason <<<"$line"
    printf '%s{"object":%s,"reason":%s}' "$separator" "$(quoted "$object")" "$(quoted "$reason")"
    separator=,
  done
  printf '],"findings":['
  separator=''
  for line in ${findings[@]+"${findings[@]}"}; do
    IFS=$US read -r severity object check text action <<<"$line"
    printf '%s\n{"severity":%s,"object":%s,"check":%s,"finding":%s,"action":%s}' "$separator" \
      "$(quoted "$severity")" "$(quoted "$object")" "$(quoted "$check")" "$(quoted "$text")" "$(quoted "$action")"
    separator=,
  done
  printf '],"errors":%s,"warnings":%s}\n' "$(count error)" "$(count warning)"
}

report_table() {
  local line widths=(8 6 5 7) cells i object reason
  for line in ${findings[@]+"${findings[@]}"}; do
    IFS=$US read -r -a cells <<<"$line"
    for i in 0 1 2 3; do ((${#cells[i]} <= widths[i])) || widths[i]=${#cells[i]}; done
  done
  if ((${#findings[@]})); then
    for line in "SEVERITY${US}OBJECT${US}CHECK${US}FINDING${US}WHAT TO DO" "${findings[@]}"; do
      IFS=$US read -r -a cells <<<"$line"
      printf '%-*s  %-*s  %-*s  %-*s  %s\n' "${widths[0]}" "${cells[0]}" "${widths[1]}" "${cells[1]}" "${widths[2]}" "${cells[2]}" "${widths[3]}" "${cells[3]}" "${cells[4]}"
    done
    printf '\n'
  fi
  for line in ${skipped[@]+"${skipped[@]}"}; do
    IFS=$US read -r object reason <<<"$line"
    printf 'not checked: %s: %s\n' "$object" "$reason"
  done
  printf 'checked: %s, errors: %s, warnings: %s\n' "${#checked[@]}" "$(count error)" "$(count warning)"
}
