#!/bin/sh
# What the controller runs on a device; devices/_remote.py sends it there under the hash of its content.
# Only what Debian, busybox and Android's toybox all have: sh, env, setsid, sleep, grep, df, od, tr, uname.
#
#   run TOKEN WALL_S LOST_S [NAME=VALUE…] PROGRAM [ARGUMENT…]
#       Runs PROGRAM in a process group of its own with this environment and `QB_RUN=TOKEN`. The group is killed
#       after WALL_S seconds, LOST_S seconds after the last line on standard input, or at its end. The last line
#       of standard output is `TOKEN exit STATUS OOM_KILLS_BEFORE OOM_KILLS_AFTER` or
#       `TOKEN deadline`.
#   reap TOKEN    kills every process of this folder that has a QB_RUN beginning with TOKEN
#   facts [FOLDER]  what the device is and how it is now, as `name=value` lines; disk space is FOLDER's
#
# Names without a path are of the folder that this script lies in.

cd "${0%/*}" || exit 1

oom_kills() {
    while read -r name number; do
        [ "$name" != oom_kill ] || echo "$number"
    done </proc/vmstat
}

# Says a word every so many seconds, in a process group of its own so that its sleep can be ended with it.
every() {
    exec setsid sh -c 'while sleep "$1"; do echo "$2"; done' sh "$@"
}

# Standard output of what follows is the list of events that `judge` reads: one loop that needs no files.
events() {
    setsid env -i "QB_RUN=$token" "$@" <&6 >&4 2>&5 3<&- 4>&- 5>&- 6<&- &
    program=$!
    echo "started $program"
    exec 4>&- 5>&-
    { while read -r _; do echo alive; done; echo gone; } <&3 &
    listener=$!
    every "$tick" tick 3<&- &
    ticker=$!
    every "$wall" late 3<&- &
    timer=$!
    wait "$program"
    echo "ended $?"
    kill -KILL "$listener" "$ticker" "$timer" "-$ticker" "-$timer"
}

judge() {
    silent=0 reason=exit
    while read -r event value; do
        case $event in
        started) program=$value ;;
        alive) silent=0 ;;
        tick)
            silent=$((silent + tick))
            [ "$silent" -lt "$lost" ] || stop lost
            ;;
        gone) stop lost ;;
        late) stop deadline ;;
        ended) status=$value && break ;;
        esac
    done
    kill -KILL "-$program" # whoever is left of its group
    [ "$reason" != exit ] || reason="exit $status $before $(oom_kills)"
    [ "$reason" = lost ] || printf '\n%s %s\n' "$token" "$reason" >&4
}

stop() {
    reason=$1
    kill -KILL "$program" "-$program" # in this order none is missed: it may have no group of its own yet
}

run() {
    token=$1 wall=$2 lost=$3 before=$(oom_kills)
    shift 3
    tick=$((lost / 4 > 0 ? lost / 4 : 1))
    exec 3<&0 4>&1 5>&2 6</dev/null 2>/dev/null
    events "$@" | judge
}

reap() {
    for found in $(grep -l -s "^QB_RUN=$1" /proc/[0-9]*/environ); do
        found=${found%/environ}
        [ ! "$found/cwd" -ef . ] || kill -KILL "${found#/proc/}" # others may have work folders of their own
    done 2>/dev/null
    return 0
}

say() {
    [ -z "$2" ] || printf '%s=%s\n' "$1" "$2"
}

# First line of a file; nothing where it cannot be read.
first() {
    [ -r "$1" ] && read -r line <"$1" 2>/dev/null && printf '%s' "$line"
}

cores() {
    for path in /sys/devices/system/cpu/cpu[0-9]*; do
        capacity=$(first "$path/cpu_capacity")
        khz=$(first "$path/cpufreq/scaling_cur_freq")
        fastest=$(first "$path/cpufreq/cpuinfo_max_freq")
        governor=$(first "$path/cpufreq/scaling_governor")
        say "core${path##*/cpu}" "${capacity:--} ${fastest:--} ${khz:--} ${governor:--}"
    done
}

temperatures() {
    for path in /sys/class/thermal/thermal_zone*; do
        say "temperature${path##*zone}" "$(first "$path/temp" && echo " $(first "$path/type")")"
    done
}

batteries() {
    for path in /sys/class/power_supply/*; do
        [ "$(first "$path/type")" != Battery ] ||
            say battery "$(first "$path/capacity") % $(first "$path/status")"
    done
}

throttled() {
    { vcgencmd get_throttled || cat /sys/devices/platform/soc/soc:firmware/get_throttled; } 2>/dev/null
}

facts() {
    say machine "$(uname -m)"
    say kernel "$(uname -s) $(uname -r)"
    say bits "$(getconf LONG_BIT 2>/dev/null)"
    say shell_elf "$(od -An -tx1 -N20 /bin/sh 2>/dev/null | tr -d ' \n')"
    say boot_id "$(first /proc/sys/kernel/random/boot_id)"
    say board "$(tr -d '\0' 2>/dev/null </proc/device-tree/model)"
    say os "$(. /etc/os-release 2>/dev/null && printf '%s' "$PRETTY_NAME")"
    say android "$(getprop ro.build.version.release 2>/dev/null)"
    say soc "$(getprop ro.soc.model 2>/dev/null)"
    { grep -m 1 -E '^Features|^flags' /proc/cpuinfo && grep -m 1 '^model name' /proc/cpuinfo
        grep -E '^processor|^CPU (implementer|part)' /proc/cpuinfo; } | sed 's/[[:space:]]*: */=/'
    grep -E '^Mem(Total|Available)' /proc/meminfo | sed 's/: */=/'
    cores
    temperatures
    batteries
    say throttled "$(throttled)"
    say load "$(first /proc/loadavg)"
    say disk "$(df -Pk "${1:-.}" | tail -n 1)"
    say seconds "$(date +%s)"
}

"$@"
