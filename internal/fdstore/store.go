package fdstore

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// roomEach is the most that is held of what was read from a connection, in
// bytes: enough for most requests' heads. placesEach is how many connections a
// worker may have of which something is held.
const (
	roomEach   = 4 << 10
	placesEach = 1024
	mostFDs    = 1 << 18 // connections of higher descriptors are not kept
)

// Store is the memory that the proxy and the process behind it share.
type Store struct {
	note    *note
	entries []Entry
	rooms   []byte
	given   uint32 // places that workers have
	keeper  int    // the process behind it; 0: none
}

// note is what the store's process reads and writes besides the entries, which
// must not allocate. See keep.
type note struct {
	poll struct {
		fd      int32
		events  int16
		revents int16
	}
	message message
	control control
	parts   [2]part
	out     int32   // the socket to the next proxy
	count   uintptr // of entries, which follow
	rooms   uintptr // where they begin

	counts    counts
	synCounts uint64 // bytes acknowledged on a connection that has sent none
	finCounts uint64 // bytes received on one that has got none, but the end
}

// message, part and control are struct msghdr, iovec and cmsghdr, with
// addresses that are no pointers to Go.
type message struct {
	name       uintptr
	nameLen    uint64
	parts      uintptr
	partCount  uint64
	control    uintptr
	controlLen uint64
	flags      uint64
}

type part struct {
	base   uintptr
	length uint64
}

type control struct {
	length uint64
	level  int32
	kind   int32
	fds    [2]int32 // the second is that of the partner
}

// New makes the store of a proxy with that many workers. The memory is the
// system's until it is touched.
func New(workers int) (*Store, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil, fmt.Errorf("the limit of open files: %w", err)
	}
	count := int(min(limit.Cur, mostFDs))
	entries := unsafe.Sizeof(note{})
	rooms := entries + uintptr(count)*unsafe.Sizeof(Entry{})
	size := int(rooms) + workers*placesEach*roomEach
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("memory for what outlives the proxy: %w", err)
	}
	s := &Store{
		note:    (*note)(unsafe.Pointer(&mem[0])),
		entries: unsafe.Slice((*Entry)(unsafe.Pointer(&mem[entries])), count),
		rooms:   mem[rooms:],
	}
	n := s.note
	n.count, n.rooms = uintptr(count), uintptr(unsafe.Pointer(&mem[rooms]))
	n.parts = [2]part{{length: uint64(unsafe.Sizeof(Entry{}))}, {}}
	n.control = control{level: unix.SOL_SOCKET, kind: unix.SCM_RIGHTS}
	n.message = message{
		parts: uintptr(unsafe.Pointer(&n.parts)), partCount: 2,
		control: uintptr(unsafe.Pointer(&n.control)), controlLen: uint64(unix.CmsgSpace(8)),
	}
	return s, n.calibrate()
}

var _ = [1]struct{}{}[unsafe.Sizeof(uintptr(0))-unsafe.Sizeof(uint64(0))] // 64 bits only
