# Sourced by the scripts beside it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
me=$(basename "$0")

export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1
export DEBIAN_FRONTEND=noninteractive

# apt that gives up in good time and never asks.
apt_options=(-qq -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o Acquire::Retries=2 -o Dpkg::Use-Pty=0)

# fail MESSAGE [CODE]: one line that says what is wrong and what to do, then the end.
fail() {
    printf '%s: %s\n' "$me" "$1" >&2
    exit "${2:-1}"
}

note() { printf '%s: %s\n' "$me" "$1" >&2; }

# Ends here when the .NET SDK is not there.
need_dotnet() {
    command -v dotnet > /dev/null ||
        fail "the .NET 10 SDK is not installed: see https://learn.microsoft.com/dotnet/core/install/linux-debian"
    dotnet --version > /dev/null 2>&1 ||
        fail "no .NET SDK fits global.json: install .NET 10 (dotnet --list-sdks shows what there is)"
}

# The directory of fetched guests.
guests_directory() {
    printf '%s\n' "${GDBSTUB_GUESTS:-${XDG_CACHE_HOME:-${HOME:?set HOME or GDBSTUB_GUESTS}/.cache}/gdbstub/guests}"
}
