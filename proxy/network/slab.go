package network

import (
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/given"
)

// SlabSize is the memory of one slab in bytes.
const SlabSize = 16 << 10

// slab is a piece of a Buffer: pooled memory, memory of somebody else (data
// that never changes, such as a configured body), or bytes that are still in
// the kernel, in a pipe.
type slab struct {
	next *slab
	mem  []byte // nil for a pipe
	r, w int    // the unread bytes are mem[r:w], or w-r bytes of the pipe
	own  bool   // mem is SlabSize bytes from the pool
	pipe *pipe

	small [smallSize]byte // mem of a piece too small for pooled memory
}

// smallSize is the length of a frame header with some room.
const smallSize = 16

func (s *slab) len() int { return s.w - s.r }

// room is how many bytes can be appended to the slab.
func (s *slab) room() int {
	if !s.own {
		return 0
	}
	return len(s.mem) - s.w
}

// Pool recycles slabs and pipes. It belongs to one loop. What is free beyond
// a bound is left to the garbage collector.
type Pool struct {
	free  *slab
	nfree int
	heads *slab // slab structures without memory
	nhead int
	pipes []*pipe
}

const (
	maxFreeSlabs = 256 // 4 MiB a worker
	maxFreeHeads = 1024
	maxFreePipes = 64
)

func (p *Pool) get() *slab {
	s := p.free
	if s == nil {
		return &slab{mem: make([]byte, SlabSize), own: true}
	}
	p.free, s.next = s.next, nil
	p.nfree--
	return s
}

func (p *Pool) head() *slab {
	s := p.heads
	if s == nil {
		return &slab{}
	}
	p.heads, s.next = s.next, nil
	p.nhead--
	return s
}

func (p *Pool) put(s *slab) {
	if s.pipe != nil {
		p.putPipe(s.pipe, s.len() == 0)
		s.pipe = nil
	}
	s.r, s.w, s.next = 0, 0, nil
	if s.own {
		given.Back(s.mem)
	}
	switch {
	case s.own && p.nfree < maxFreeSlabs:
		s.next, p.free = p.free, s
		p.nfree++
	case !s.own && p.nhead < maxFreeHeads:
		s.mem = nil
		s.next, p.heads = p.heads, s
		p.nhead++
	}
}

// pipe carries bytes between two sockets without copying them to user space.
type pipe struct {
	r, w int
	from *Connection // whose bytes are in it
}

// pipeCapacity is asked for each pipe in bytes; an unprivileged user may have
// up to /proc/sys/fs/pipe-max-size (1 MiB by default).
const pipeCapacity = 1 << 20

func (p *Pool) getPipe() (*pipe, error) {
	if n := len(p.pipes); n > 0 {
		x := p.pipes[n-1]
		p.pipes = p.pipes[:n-1]
		return x, nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	// A smaller pipe works as well.
	unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeCapacity)
	return &pipe{r: fds[0], w: fds[1]}, nil
}

func (p *Pool) putPipe(x *pipe, empty bool) {
	x.from = nil
	if empty && len(p.pipes) < maxFreePipes {
		p.pipes = append(p.pipes, x)
		return
	}
	unix.Close(x.r)
	unix.Close(x.w)
}

// Close releases the pool's descriptors.
func (p *Pool) Close() {
	for _, x := range p.pipes {
		unix.Close(x.r)
		unix.Close(x.w)
	}
	*p = Pool{}
}
