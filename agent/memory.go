package agent

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// releaseStartup lets go of memory that only starting took: every package of
// the one binary, the proxy's too, initialises itself and touches pages that
// the agent never looks at again. Those of the file come back from the page
// cache when they are needed.
func releaseStartup() {
	debug.FreeOSMemory()
	self, err := os.Executable()
	if err != nil {
		return // it costs memory and nothing else
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer f.Close()
	var from, to uintptr
	ours := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		var first, end uintptr
		var mode string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &first, &end, &mode); n == 3 {
			from, to = first, end
			ours = strings.HasPrefix(mode, "r-") && strings.HasSuffix(line, " "+self)
			continue
		}
		// Pages that were written once (relocations) are not the file's.
		if text, found := strings.CutPrefix(line, "Anonymous:"); ours && found && strings.TrimSpace(text) == "0 kB" {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
		}
	}
}
