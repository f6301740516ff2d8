#!/bin/sh
# Runs a command with Mesa's lavapipe as its GPU: computed on the processor, but with float16, subgroups of eight and matrix units, which SwiftShader lacks.
# Debian's unstable lies in a folder of its own (about 900 MB, made once) and is entered by chroot, so it needs root and debootstrap:
#   sudo scripts/lavapipe.sh FOLDER node --test test/unit/engine/webgpu.test.ts test/unit/engine/webgpuProducts.test.ts
set -eu
root=$1
shift
here=$(cd "$(dirname "$0")/.." && pwd)
if [ ! -e "$root/usr/share/vulkan/icd.d/lvp_icd.json" ]; then
  debootstrap --variant=minbase --include=mesa-vulkan-drivers,libvulkan1 sid "$root" http://deb.debian.org/debian
fi
export SAE_ENSEMBLES_TEST_VULKAN=/usr/share/vulkan/icd.d/lvp_icd.json
export PATH="$here/node_modules/.bin:$PATH"
mkdir -p "$root$here"
exec unshare -m sh -c '
  root=$1 here=$2
  shift 2
  mount --rbind "$here" "$root$here"
  mount --rbind /dev "$root/dev"
  mount -t proc proc "$root/proc"
  exec chroot "$root" sh -c "cd \"\$0\" && exec \"\$@\"" "$here" "$@"
' sh "$root" "$here" "$@"
