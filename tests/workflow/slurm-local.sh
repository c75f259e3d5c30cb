#!/usr/bin/env bash
# SLURM for the tests: a controller and a few nodes, all on this one Debian machine.
#
#   slurm-local.sh start       install what is missing, configure, wait until all nodes are idle
#   slurm-local.sh crash n2    the node and all its jobs' processes die at once; `start` revives it
#   slurm-local.sh purge       stop everything and forget it, configuration included
#   slurm-local.sh available   start and purge: whether this machine can; the last line says why not
#
# Needs root and apt; neither systemd nor cgroups. Touches no configuration but its own, and ends
# no process but those it started. Purge when done: while a configuration is there and its
# controller is not, every start of Snakemake waits ten seconds for an answer.
set -euo pipefail

NODES=${SLURM_LOCAL_NODES:-2}
CPUS=${SLURM_LOCAL_CPUS:-4}      # that each node says it has; no harm if the machine has fewer
MEMORY=${SLURM_LOCAL_MEM_MB:-16000}  # MB, as with CPUs
GPUS=${SLURM_LOCAL_GPUS:-1}      # per node: empty files that stand in for devices
HOME_DIR=/var/lib/patchbench-slurm
ETC=/etc/slurm
SIGNED="# by patchbench/tests/workflow/slurm-local.sh"
PORT=27000

fail() { echo "slurm-local: $*" >&2; exit 1; }

# --- daemons: each has a file with its pid and start time, so a reused pid is not mistaken for it

born() { cut -d' ' -f22 "/proc/$1/stat" 2>/dev/null; }

alive() { # alive NAME: prints its pid
  local pid start
  read -r pid start 2>/dev/null <"$HOME_DIR/pids/$1" || return 1
  [ -n "$start" ] && [ "$(born "$pid")" = "$start" ] && echo "$pid"
}

daemon() { # daemon NAME COMMAND...: start it unless it lives
  local name=$1
  shift
  alive "$name" >/dev/null && return
  setsid "$@" </dev/null >>"$HOME_DIR/logs/$name.out" 2>&1 &
  echo "$! $(born $!)" >"$HOME_DIR/pids/$name"
  disown $!  # or this shell would tell of its end
}

within() { # within SECONDS COMMAND...: wait until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.2
  done
}

# --- packages and configuration

install_missing() {
  local wanted=() program
  for program in slurmctld slurmd munged:munge sbatch:slurm-client; do
    command -v "${program%:*}" >/dev/null || wanted+=("${program#*:}")
  done
  [ ${#wanted[@]} -gt 0 ] || return 0
  # packages must not start daemons of their own: this script does, with its own settings
  local policy=/usr/sbin/policy-rc.d ours=false status=0
  [ -e $policy ] || { ours=true; printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; }
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -y install --no-install-recommends "${wanted[@]}" >/dev/null; } || status=$?
  if $ours; then rm $policy; fi
  [ $status -eq 0 ] || fail "apt-get could not install ${wanted[*]}"
}

settings() {
  local host i gres=""
  host=$(hostname -s)
  [ "$GPUS" -eq 0 ] || gres="Gres=gpu:$GPUS"
  cat <<CONF
$SIGNED
ClusterName=patchbench
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$HOME_DIR/state
SlurmdSpoolDir=$HOME_DIR/spool/%n
SlurmctldPidFile=$HOME_DIR/pids/slurmctld.own
SlurmdPidFile=$HOME_DIR/pids/slurmd-%n.own
SlurmctldLogFile=$HOME_DIR/logs/slurmctld.log
SlurmdLogFile=$HOME_DIR/logs/slurmd-%n.log
# nodes may announce more than the machine has
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# processes are followed by parent and sampled each second: works in any container
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
# one line for every job that ended, which the tests read; squeue shows it for an hour
JobCompType=jobcomp/filetxt
JobCompLoc=$HOME_DIR/jobs.txt
MinJobAge=3600
# what could never run is refused, not queued for ever
EnforcePartLimits=ALL
GresTypes=gpu
ReturnToService=2
SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=0,sched_min_interval=0
KillWait=2
SlurmdTimeout=10
UnkillableStepTimeout=180
CONF
  for ((i = 1; i <= NODES; i++)); do
    echo "NodeName=n$i NodeHostname=$host NodeAddr=127.0.0.1 Port=$((PORT + i))" \
      "CPUs=$CPUS RealMemory=$MEMORY $gres"
  done
  echo "PartitionName=main Nodes=ALL Default=YES MaxTime=UNLIMITED DefaultTime=5"
}

gpu_settings() {
  echo "$SIGNED"
  [ "$GPUS" -eq 0 ] || echo "NodeName=n[1-$NODES] Name=gpu File=$HOME_DIR/gpus/[1-$GPUS]"
}

configure() {
  if [ -e $ETC/slurm.conf ] && ! grep -qF "$SIGNED" $ETC/slurm.conf; then
    fail "$ETC/slurm.conf belongs to a real cluster; it is left alone"
  fi
  mkdir -p $ETC "$HOME_DIR"/{state,spool,logs,pids,gpus}
  local i
  for ((i = 1; i <= GPUS; i++)); do : >"$HOME_DIR/gpus/$i"; done
  if [ "$(settings)" != "$(cat $ETC/slurm.conf 2>/dev/null)" ]; then
    stop
    settings >$ETC/slurm.conf
    gpu_settings >$ETC/gres.conf
  fi
}

# --- what it does

idle() { [ "$(sinfo -hN -o %t | grep -cE '^(idle|mix|alloc|comp)$')" -eq "$NODES" ]; }

start() {
  install_missing
  configure
  if ! munge -n >/dev/null 2>&1; then
    mkdir -p /run/munge /var/log/munge /var/lib/munge
    [ -s /etc/munge/munge.key ] || head -c 1024 /dev/urandom >/etc/munge/munge.key
    chmod 400 /etc/munge/munge.key
    chown -R munge: /etc/munge /run/munge /var/log/munge /var/lib/munge
    chmod 755 /run/munge
    daemon munged setpriv --reuid=munge --regid=munge --clear-groups munged -F
    within 10 munge -n || fail "munged did not start: see $HOME_DIR/logs/munged.out"
  fi
  daemon slurmctld slurmctld -D
  local i
  for ((i = 1; i <= NODES; i++)); do
    mkdir -p "$HOME_DIR/spool/n$i"
    daemon "slurmd-n$i" slurmd -D -N "n$i"
  done
  within 60 idle || { tail -n 20 "$HOME_DIR"/logs/*.log >&2; fail "not all nodes became idle"; }
  sinfo -N -o '%N %t %c CPUs, %m MB, %G'
}

stop() { # stop [SIGNAL]: and wait until they are gone
  local file name pid
  for file in "$HOME_DIR"/pids/{slurmd-*,slurmctld,munged}; do
    name=$(basename "$file")
    if pid=$(alive "$name"); then
      kill "$@" "$pid"
      within 15 test ! -e "/proc/$pid" || kill -9 "$pid"
    fi
    rm -f "$file"
  done
}

end_tree() { # the processes below first, so that none is left to another parent
  local child
  for child in $(pgrep -P "$1"); do end_tree "$child"; done
  kill -9 "$1" 2>/dev/null || true
}

crash() {
  local pid job step
  pid=$(alive "slurmd-$1") || fail "$1 is not a running node"
  kill -9 "$pid"
  for job in $(squeue -h -w "$1" -o %A); do
    for step in $(pgrep -f "^slurmstepd: \[$job\." || true); do
      # a job's daemon keeps its node's log open: the other nodes' are spared
      if readlink "/proc/$step"/fd/* | grep -q "/slurmd-$1.log$"; then end_tree "$step"; fi
    done
  done
  rm "$HOME_DIR/pids/slurmd-$1"
}

purge() {
  if [ -e $ETC/slurm.conf ] && grep -qF "$SIGNED" $ETC/slurm.conf; then
    if alive slurmctld >/dev/null; then
      scancel --state=PENDING || true
      scancel --state=RUNNING || true
      within 15 eval '[ -z "$(squeue -h --states=PENDING,RUNNING,COMPLETING)" ]' || true
    fi
    stop -9  # the controller would save for seconds what is forgotten at once
    rm -f $ETC/slurm.conf $ETC/gres.conf
  fi
  rm -rf "$HOME_DIR"
}

available() {
  trap purge EXIT
  start >/dev/null
}

[ "$(id -u)" -eq 0 ] || fail "needs root"
command -v apt-get >/dev/null || fail "needs apt-get"
case "${1:-}" in
  start) start ;;
  crash) crash "${2:?which node}" ;;
  purge) purge ;;
  available) available ;;
  *) fail "start, crash NODE, purge or available" ;;
esac
