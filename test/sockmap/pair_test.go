//go:build costs

package sockmap

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/netnsrig"
)

// pair is a TCP connection over loopback: a program's socket, and the proxy's.
// Both block.
type pair struct {
	t          testing.TB
	app, proxy int
	// What is sent by a socket in senders goes to its peer's queue, if the peer
	// is in targets, and by TCP otherwise. The keys are ports of the sockets.
	senders, targets *ebpf.Map
}

func newPair(t testing.TB) *pair {
	netnsrig.RequireRoot(t)
	p := &pair{t: t, app: newSocket(t)}
	listening := newSocket(t)
	loopback := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	must(t, unix.Bind(listening, loopback))
	must(t, unix.Listen(listening, 1))
	must(t, unix.Connect(p.app, &unix.SockaddrInet4{Addr: loopback.Addr, Port: port(t, listening)}))
	fd, _, err := unix.Accept(listening)
	must(t, err)
	p.proxy = fd
	t.Cleanup(func() { p.close(&p.app); p.close(&p.proxy) })
	return p
}

func newSocket(t testing.TB) int {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	return fd
}

func (p *pair) close(fd *int) {
	if *fd >= 0 {
		unix.Close(*fd)
	}
	*fd = -1
}

// intoMap puts the program's socket into a map whose sk_msg program lets
// everything pass, as long as there are no targets.
func (p *pair) intoMap() {
	p.senders, p.targets = newSockhash(p.t), newSockhash(p.t)
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SkMsg, Instructions: redirectToPeer(p.targets), License: "Apache-2.0"})
	must(p.t, err)
	p.t.Cleanup(func() { prog.Close() })
	must(p.t, link.RawAttachProgram(link.RawAttachProgramOptions{
		Target: p.senders.FD(), Program: prog, Attach: ebpf.AttachSkMsgVerdict,
	}))
	p.sends(p.app)
}

// redirected has what the program's socket sends go straight to the proxy's.
func (p *pair) redirected() { p.receives(p.proxy) }

// redirectedBack has what the proxy's socket sends go straight to the program's.
func (p *pair) redirectedBack() {
	p.sends(p.proxy)
	p.receives(p.app)
}

func (p *pair) sends(fd int)    { p.put(p.senders, fd) }
func (p *pair) receives(fd int) { p.put(p.targets, fd) }

func (p *pair) put(m *ebpf.Map, fd int) {
	must(p.t, m.Put(uint32(port(p.t, fd)), uint64(fd)))
}

func newSockhash(t testing.TB) *ebpf.Map {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.SockHash, KeySize: 4, ValueSize: 8, MaxEntries: 8})
	must(t, err)
	t.Cleanup(func() { m.Close() })
	return m
}

// redirectToPeer is an sk_msg program: the message goes to the socket that
// targets has under the remote port, and passes when there is none.
func redirectToPeer(targets *ebpf.Map) asm.Instructions {
	const remotePort = 60 // its offset in struct sk_msg_md: 32 bits, big-endian
	const ingress = 1     // BPF_F_INGRESS
	return asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, remotePort, asm.Word),
		asm.HostTo(asm.BE, asm.R2, asm.Word),
		asm.StoreMem(asm.RFP, -4, asm.R2, asm.Word),
		asm.LoadMapPtr(asm.R2, targets.FD()),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, -4),
		asm.Mov.Imm(asm.R4, ingress),
		asm.FnMsgRedirectHash.Call(),
		asm.Mov.Imm(asm.R0, 1), // SK_PASS
		asm.Return(),
	}
}

func port(t testing.TB, fd int) int {
	sa, err := unix.Getsockname(fd)
	must(t, err)
	return sa.(*unix.SockaddrInet4).Port
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
