#!/bin/sh
# What the controller runs on a device; devices/_shell.py sends it there under the hash of its content.
# Only what Debian, busybox and Android's toybox all have: sh, env, setsid, sleep, grep, df, od, tr, uname.
#
#   run TOKEN WALL_S LOST_S [NAME=VALUE…] PROGRAM [ARGUMENT…]
#       Runs PROGRAM in a process group of its own with this environment and `QB_RUN=TOKEN`. The group is killed
#       after WALL_S seconds, LOST_S seconds after the last line on standard input, or at its end. The last line
#       of standard output is `TOKEN exit STATUS OOM_KILLS_BEFORE OOM_KILLS_AFTER` or
#       `TOKEN deadline`.
#   reap TOKEN    kills every process of this folder that has a QB_RUN beginning with TOKEN
#   facts [FOLDER]  what the device is and how it is now, as `name=value` lines; disk space is FOLDER's
#   state         only how it is now: cheap enough to be asked while something is measured
#   hold_governor     sets the governor `performance` where that is allowed; what was there before is written to the
#                 file `governors` first, so that whoever is here after a crash can put it back
#   restore_governor  puts back what the file `governors` says, unless the device was started anew since
#
# Names without a path are of the folder that this script lies in.

cd "${0%/*}" || exit 1
sys=${QB_SYS:-/sys} # tests have one of their own
cpus=$sys/devices/system/cpu

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
    for path in "$cpus"/cpu[0-9]*; do
        capacity=$(first "$path/cpu_capacity")
        khz=$(first "$path/cpufreq/scaling_cur_freq")
        fastest=$(first "$path/cpufreq/cpuinfo_max_freq")
        governor=$(first "$path/cpufreq/scaling_governor")
        say "core${path##*/cpu}" "${capacity:--} ${fastest:--} ${khz:--} ${governor:--}"
    done
}

temperatures() {
    for path in "$sys"/class/thermal/thermal_zone*; do
        say "temperature${path##*zone}" "$(first "$path/temp" && echo " $(first "$path/type")")"
        for trip in "$path"/trip_point_*_type; do
            [ "$(first "$trip")" != passive ] || say throttles_at "$(first "${trip%_type}_temp")"
        done
    done
}

# Microamperes, microvolts and whether it is what feeds the device, of each battery.
batteries() {
    for path in "$sys"/class/power_supply/*; do
        [ "$(first "$path/type")" = Battery ] || continue
        say battery "$(first "$path/capacity") % $(first "$path/status")"
        say battery_power "$(first "$path/current_now" || echo -) $(first "$path/voltage_now" || echo -) $(first "$path/status")"
    done
}

throttled() {
    { vcgencmd get_throttled || cat "$sys/devices/platform/soc/soc:firmware/get_throttled"; } 2>/dev/null
}

# The currents and voltages of a Pi 5's power chip, whose names end in _A and _V.
power_chip() {
    vcgencmd pmic_read_adc 2>/dev/null | sed -n 's/^ *\([A-Z0-9_]*_[AV]\) .*=\([0-9.]*\)[AV]$/rail=\1 \2/p'
}

android_state() {
    dumpsys thermalservice | sed -n 's/^Thermal Status: */thermal_status=/p'
    dumpsys battery | sed -n -e 's/^ *level: */battery_level=/p' -e 's/^ *temperature: */battery_temperature=/p' \
        -e 's/^ *\([A-Z][A-Za-z]*\) powered: true.*/powered=\1/p'
} 2>/dev/null

state() {
    cores
    temperatures
    batteries
    power_chip
    android_state
    say throttled "$(throttled)"
    say load "$(first /proc/loadavg)"
}

# Writes a governor to a core's file, as the user, or as root where sudo asks for no password.
set_governor() {
    { echo "$1" >"$2" || echo "$1" | sudo -n tee "$2"; } >/dev/null 2>&1
}

hold_governor() {
    boot=$(first /proc/sys/kernel/random/boot_id)
    if [ "$(first governors)" != "$boot" ]; then # what is there already is of an owner who never put it back
        { echo "$boot"
            for path in "$cpus"/cpu[0-9]*/cpufreq/scaling_governor; do
                echo "$(first "$path") $path"
            done; } >governors.part && mv -f governors.part governors || return 0
    fi
    for path in "$cpus"/cpu[0-9]*/cpufreq/scaling_governor; do
        [ ! -e "$path" ] || [ "$(first "$path")" = performance ] || set_governor performance "$path"
    done
    return 0
}

restore_governor() {
    [ "$(first governors)" != "$(first /proc/sys/kernel/random/boot_id)" ] ||
        while read -r governor path; do
            [ ! -e "$path" ] || [ "$(first "$path")" = "$governor" ] || set_governor "$governor" "$path"
        done <governors
    rm -f governors
    return 0
}

# Whether `hold_governor` could do anything; nothing where there are no governors, or need be none.
governor_settable() {
    path=$cpus/cpu0/cpufreq/scaling_governor
    case $(first "$path") in '' | performance) return ;; esac
    { [ -w "$path" ] || sudo -n true; } 2>/dev/null && echo yes || echo no
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
    state
    say governor_settable "$(governor_settable)"
    say disk "$(df -Pk "${1:-.}" | tail -n 1)"
    say seconds "$(date +%s)"
}

"$@"
