# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2317,SC2329 # see sides.sh; functions are called by name
# Two builds against each other, for scripts/bench compare: each function below makes one round of some figures with the build
# that $pushd and $recvd name, with processes and a backup of its own. What all rounds need is prepared before the first.

compared=(pass disk large live folders million slow)

# ── figures ──────────────────────────────────────────────────────────────────────────────────────────────────────────

declare -A samples bound
figures=() side='' counted=''

# sample TEXT BOUND MICROSECONDS …: BOUND is how much longer the second build may take, in percent.
sample() {
    [[ -n $counted ]] || return 0
    [[ -n ${bound[$1]-} ]] || figures+=("$1")
    bound[$1]=$2
    samples[$side,$1]+=" ${*:3}"
}

# figure TEXT COMMAND …
figure() {
    local microseconds
    timed "${@:2}"
    sample "$1" 5 "$microseconds"
}

# Prints the table; fails where a bound is passed.
compare_report() {
    local text olds news before after ratio a b mark=0 verdict
    printf '%10s %10s %7s %6s  %s\n' base new ratio bound 'row, values of each'
    for text in "${figures[@]}"; do
        read -ra olds <<<"${samples[base,$text]}"
        read -ra news <<<"${samples[new,$text]}"
        before=$(median "${olds[@]}") after=$(median "${news[@]}")
        ratio=$((after * 1000 / before)) verdict=''
        ((ratio <= 1000 + ${bound[$text]} * 10)) || verdict=': WORSE' mark=1
        shown a "$before"
        shown b "$after"
        printf '%10s %10s %3d.%03d %4d %%  %s, %d%s\n' "$a" "$b" $((ratio / 1000)) $((ratio % 1000)) "${bound[$text]}" "$text" "${#olds[@]}" "$verdict"
    done
    return "$mark"
}

# compare BASE NEW: folders with pushd and recvd. Rounds alternate, and who comes first does, too; the first is for warmth only.
compare() {
    local one round order began ended took
    for one in "${rows[@]}"; do
        now began
        pushd=$1/pushd recvd=$1/recvd
        ! declare -F "prepare_$one" >/dev/null || "prepare_$one"
        for ((round = 0; round <= rounds; round++)); do
            counted=${round#0}
            order=(base new)
            ((round % 2)) || order=(new base)
            for side in "${order[@]}"; do
                [[ $side == base ]] && pushd=$1/pushd recvd=$1/recvd || pushd=$2/pushd recvd=$2/recvd
                "compare_$one"
                end "${daemons[@]}"
                daemons=()
            done
        done
        rm -rf "${memory:?}/$one" "$memory/$one"-*
        now ended
        seconds took $((ended - began))
        echo "$one: $rounds rounds of each in $took s" >&2
    done
    compare_report
}

# fresh NAME BACKUP DURABILITY SOURCE: a recvd with an empty backup.
fresh() {
    rm -rf "${memory:?}/$1"
    mkdir -p "$2"
    empty "$2"
    ours_in "$@"
}

# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

compare_pass() {
    fresh pass "$memory/pass-backup" none "$memory/source"
    figure 'first pass, memory to memory, durability none' ours pass
    figure 'unchanged pass, memory to memory' ours pass
}

compare_disk() {
    fresh disk "$slow/disk-backup" batch "$memory/source"
    figure 'first pass, memory to disk, durability batch' ours disk
}

prepare_large() {
    from=$memory/large-source
    mkdir -p "$from"
    head -c $((1 << 30)) /dev/urandom >"$from/large"
}

compare_large() {
    fresh large "$memory/large-backup" none "$from"
    figure 'one new file of 1 GiB, random bytes' ours large
    append_ours
    figure '1,000,000 bytes appended to it' ours large
    insert_ours
    figure '1 byte inserted near its front' ours large
}

prepare_live() {
    make_many "$memory/live-many"
}

compare_live() {
    local source=$memory/live-source-ours backup=$memory/live-ours delays
    rm -rf "$source"
    mkdir -p "$source"
    fresh live "$backup" none "$source"
    ours_live live
    mapfile -t delays < <(delays "$source" "$backup" 10)
    sample 'a file of 4 KiB written → visible, 10 in each round' 25 "${delays[@]}"
    copied() { cp -r "$memory/live-many" "$source/many" && all_there "$backup/many" 5000; }
    figure '5,000 new files under watch → all there' copied
    "$pushd" wait --config "$memory/live/pushd.toml" --timeout 30s
    moved() { mv "$source/many" "$source/moved" && all_there "$backup/moved" 5000; }
    figure 'a folder of 5,000 files renamed' moved
}

prepare_folders() {
    make_folders "$memory/folders-source"
    fresh folders "$memory/folders-backup" none "$memory/folders-source"
    ours folders
    end "${daemons[@]}"
    daemons=()
}

compare_folders() {
    rm -rf "$memory/folders"
    ours_in folders "$memory/folders-backup" none "$memory/folders-source"
    figure 'many folders: start → watched and in sync' ours_live folders
}

prepare_million() {
    make_million "$memory/million-source"
}

compare_million() {
    fresh million "$memory/million-backup" none "$memory/million-source"
    figure '1,000,000 files in 10,000 folders, first pass' ours million
    figure '1,000,000 files in 10,000 folders, unchanged pass' ours million
}

prepare_slow() {
    ((EUID == 0)) || fail 'a link of 100 Mbit/s, of the row slow, takes root; see --rows'
    slow_link
}

compare_slow() {
    rm -rf "$memory/slow" "$memory/slow-ours"
    slow_recvd "$far" "$address.2"
    figure 'text over 100 Mbit/s, compress auto' pass_slow
}
