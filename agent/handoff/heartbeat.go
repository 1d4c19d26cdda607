package handoff

import (
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// heartbeat is the page of weir_heartbeat, shared with the kernel: beating
// needs no system call on the map and so no capability.
type heartbeat struct {
	mu   sync.Mutex
	page []byte
}

// use maps the page of fd, which stays the caller's, in place of the last one.
func (h *heartbeat) use(fd int) error {
	page, err := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return os.NewSyscallError("mmap the heartbeat", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unmap()
	h.page = page
	return nil
}

func (h *heartbeat) beat() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return // every Linux has this clock
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.page != nil {
		atomic.StoreUint64((*uint64)(unsafe.Pointer(&h.page[0])), uint64(now.Nano()))
	}
}

func (h *heartbeat) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unmap()
}

func (h *heartbeat) unmap() {
	if h.page != nil {
		unix.Munmap(h.page) // a page that Mmap returned
		h.page = nil
	}
}
