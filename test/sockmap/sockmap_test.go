//go:build costs

package sockmap

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// act is something that a program does with its socket, and what it sees then.
type act struct {
	what       string
	setUp      func(*pair) // of the pair in the map; nil: everything passes
	do         func(*pair) string
	tcp, inMap string
}

var acts = []act{
	// The program's socket is in the map, and everything passes.
	{"blocking recv, a signal arrives (SA_RESTART)", nil, recvWithSignal, "5 bytes", "EAGAIN"},
	{"blocking recv, while another thread's send waits for room", nil, recvWhileSending, "5 bytes", "EAGAIN"},
	{"blocking recv of two threads, bytes for one", nil, recvTwice, "5 bytes, 5 bytes", "5 bytes, EAGAIN"},
	// What it sends goes straight to the proxy.
	{"first bytes by TCP, the next ones redirected", nil, sendAcrossTheSwitch, "12", "21"},
	{"send while the peer reads nothing", (*pair).redirected, sendUnread, "waits when the buffers are full", "never waits"},
	{"send MSG_ZEROCOPY", (*pair).redirected, sendZeroCopy, "is told when its memory is free", "is never told"},
	{"send after shutdown(SHUT_WR)", (*pair).redirected, sendAfterShutdown, "EPIPE", "4 bytes"},
	{"peer closes with unread bytes", (*pair).redirected, closeUnread, "ECONNRESET", "0 bytes"},
	// What the proxy sends goes straight to it.
	{"splice from a socket that poll calls readable", (*pair).redirectedBack, splice, "5 bytes", "EAGAIN"},
	{"recv MSG_WAITALL of 10 bytes that come in two halves", (*pair).redirectedBack, recvAll, "10 bytes", "5 bytes"},
}

func TestWhatAProgramSees(t *testing.T) {
	fmt.Printf("| a program's | by TCP | in a socket map |\n|---|---|---|\n")
	for _, a := range acts {
		t.Run(a.what, func(t *testing.T) {
			tcp := a.do(newPair(t))
			p := newPair(t)
			p.intoMap()
			if a.setUp != nil {
				a.setUp(p)
			}
			inMap := a.do(p)
			fmt.Printf("| %s | %s | %s |\n", a.what, tcp, inMap)
			if tcp != a.tcp || inMap != a.inMap {
				t.Errorf("%q and %q on this kernel; docs/performance.md says %q and %q", tcp, inMap, a.tcp, a.inMap)
			}
		})
	}
}

// result is what a call returned.
func result(n int, err error) string {
	if err != nil {
		return unix.ErrnoName(err.(unix.Errno))
	}
	return fmt.Sprint(n, " bytes")
}

// reader is a thread that receives once, and blocks in it.
type reader struct {
	thread   int
	received chan string
}

func (p *pair) reader(n, flags int) reader {
	r, thread := reader{received: make(chan string, 1)}, make(chan int)
	fd := p.app
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		n, _, err := unix.Recvfrom(fd, make([]byte, n), flags)
		r.received <- result(n, err)
	}()
	r.thread = <-thread
	for !sleeps(r.thread) {
		time.Sleep(time.Millisecond)
	}
	return r
}

// sleeps tells whether the thread waits in a system call.
func sleeps(thread int) bool {
	var state byte
	stat, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", thread))
	if err != nil {
		return true // it is gone
	}
	fmt.Sscanf(string(stat[indexAfter(stat, ')'):]), " %c", &state)
	return state == 'S'
}

func indexAfter(s []byte, c byte) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == c {
			return i + 1
		}
	}
	return 0
}

// result is what it received, or what became of it within a second.
func (r reader) result() string {
	select {
	case s := <-r.received:
		return s
	case <-time.After(time.Second):
		return "waits for ever"
	}
}

func (p *pair) send(fd int, s string) {
	_, err := unix.SendmsgN(fd, []byte(s), nil, nil, unix.MSG_NOSIGNAL)
	must(p.t, err)
}

func recvWithSignal(p *pair) string {
	r := p.reader(10, 0)
	must(p.t, unix.Tgkill(os.Getpid(), r.thread, unix.SIGURG)) // Go's handler has SA_RESTART
	select {
	case s := <-r.received:
		return s
	case <-time.After(100 * time.Millisecond):
	}
	p.send(p.proxy, "hello")
	return r.result()
}

func recvWhileSending(p *pair) string {
	r := p.reader(10, 0)
	fd, sent := p.app, make(chan error)
	go func() {
		_, err := unix.SendmsgN(fd, make([]byte, 32<<20), nil, nil, unix.MSG_NOSIGNAL)
		sent <- err
	}()
	buf := make([]byte, 64<<10)
	for left := 32 << 20; left > 0; {
		n, err := unix.Read(p.proxy, buf)
		must(p.t, err)
		left -= n
	}
	must(p.t, <-sent)
	p.send(p.proxy, "hello")
	return r.result()
}

func recvTwice(p *pair) string {
	a, b := p.reader(10, 0), p.reader(10, 0)
	p.send(p.proxy, "hello")
	time.Sleep(100 * time.Millisecond) // who got none comes back now, or waits on
	p.send(p.proxy, "hello")
	results := []string{a.result(), b.result()}
	slices.Sort(results)
	return strings.Join(results, ", ")
}

func sendAcrossTheSwitch(p *pair) string {
	p.send(p.app, "1")
	if p.targets != nil {
		p.redirected()
	}
	p.send(p.app, "2")
	var read []byte
	buf := make([]byte, 10)
	for len(read) < 2 {
		n, err := unix.Read(p.proxy, buf)
		must(p.t, err)
		read = append(read, buf[:n]...)
	}
	return string(read)
}

// enough is more than any socket's buffers hold.
const enough = 64 << 20

func sendUnread(p *pair) string {
	buf := make([]byte, 64<<10)
	for total := 0; total < enough; {
		n, err := unix.SendmsgN(p.app, buf, nil, nil, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			return "waits when the buffers are full"
		}
		must(p.t, err)
		total += n
	}
	return "never waits"
}

func sendZeroCopy(p *pair) string {
	must(p.t, unix.SetsockoptInt(p.app, unix.SOL_SOCKET, unix.SO_ZEROCOPY, 1))
	n, err := unix.SendmsgN(p.app, make([]byte, 20000), nil, nil, unix.MSG_ZEROCOPY)
	must(p.t, err)
	for buf := make([]byte, n); n > 0; {
		k, err := unix.Read(p.proxy, buf)
		must(p.t, err)
		n -= k
	}
	// Completions come with the acknowledgement, which reading has not waited for.
	unix.Poll([]unix.PollFd{{Fd: int32(p.app)}}, 100)
	if _, _, _, _, err := unix.Recvmsg(p.app, nil, make([]byte, 200), unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT); err != nil {
		return "is never told"
	}
	return "is told when its memory is free"
}

func sendAfterShutdown(p *pair) string {
	must(p.t, unix.Shutdown(p.app, unix.SHUT_WR))
	return result(unix.SendmsgN(p.app, []byte("late"), nil, nil, unix.MSG_NOSIGNAL))
}

func closeUnread(p *pair) string {
	p.send(p.app, "hello")
	p.close(&p.proxy)
	return result(unix.Read(p.app, make([]byte, 10)))
}

func splice(p *pair) string {
	var pipe [2]int
	must(p.t, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	p.send(p.proxy, "hello")
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.app), Events: unix.POLLIN}}, 1000); n != 1 {
		p.t.Fatal("poll:", n, err)
	}
	must(p.t, unix.SetNonblock(p.app, true)) // or it waits for ever
	n, err := unix.Splice(p.app, nil, pipe[1], nil, 10, unix.SPLICE_F_NONBLOCK)
	return result(int(n), err)
}

func recvAll(p *pair) string {
	r := p.reader(10, unix.MSG_WAITALL)
	p.send(p.proxy, "hello")
	select {
	case s := <-r.received:
		return s
	case <-time.After(100 * time.Millisecond):
	}
	p.send(p.proxy, "hello")
	return r.result()
}
