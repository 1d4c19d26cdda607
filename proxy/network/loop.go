package network

import (
	"github.com/weirproxy/weir/internal/fdstore"
	"github.com/weirproxy/weir/proxy/event"
)

// Loop is a dispatcher and the memory that its connections share.
type Loop struct {
	*event.Dispatcher
	Pool Pool
	// Datagrams is for what the loop's handlers receive and send over UDP.
	Datagrams Datagrams
	// Worker is 0 for main and 1 to N for the workers: the index into
	// everything that is kept once for each of them.
	Worker int
	// ConnectInternal makes a connection to an internal listener of this loop;
	// nil where there are none. It returns the client's end.
	ConnectInternal func(listener string, addr Address, brings *Brought) (fd int, err error)

	// Kept is where connections that outlive the process are noted; nil: none.
	Kept *fdstore.Worker

	lastLocal *Address
}

// NewLoop makes a loop; the name is the dispatcher's.
func NewLoop(name string, worker int) (*Loop, error) {
	d, err := event.New(name)
	if err != nil {
		return nil, err
	}
	return &Loop{Dispatcher: d, Worker: worker}, nil
}

// Close releases the loop's descriptors after Run has returned.
func (l *Loop) Close() {
	l.Pool.Close()
	l.Dispatcher.Close()
}

// NewBuffer makes an empty buffer.
func (l *Loop) NewBuffer() *Buffer { return &Buffer{pool: &l.Pool} }

// share returns a pointer to a, the same one as long as a is the same: the
// connections of a listener have one local address.
func (l *Loop) share(a Address) *Address {
	if l.lastLocal == nil || *l.lastLocal != a {
		b := a // a itself stays on the stack
		l.lastLocal = &b
	}
	return l.lastLocal
}
