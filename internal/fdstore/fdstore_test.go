package fdstore

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// role has the test binary be a proxy that is killed.
const role = "WEIR_FDSTORE_TEST"

// upstream is where the proxy passes lines on to.
const upstream = "WEIR_FDSTORE_TEST_UPSTREAM"

// pass passes a line on and reads the answer, "here".
func pass(line, to string) (*os.File, error) {
	c, err := net.Dial("tcp", to)
	if err != nil {
		return nil, err
	}
	io.WriteString(c, line)
	if _, err := io.ReadFull(c, make([]byte, len("here\n"))); err != nil {
		return nil, err
	}
	return c.(*net.TCPConn).File()
}

func TestMain(m *testing.M) {
	if os.Getenv(role) == "" {
		os.Exit(m.Run())
	}
	if err := proxy(os.Getenv(role)); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// proxy accepts connections until one says how it is to end. Each other begins
// with a line that says how far it is to be when that comes.
func proxy(end string) error {
	out, _, ok := Inherited()
	if !ok {
		return errors.New("no sockets")
	}
	s, err := New(1)
	if err != nil {
		return err
	}
	if err := s.Keep(out); err != nil {
		return err
	}
	w := s.Worker()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			return err
		}
		f, err := c.(*net.TCPConn).File() // Go's own descriptor is another, and stays open
		if err != nil {
			return err
		}
		key := Key{Listener: "l", Pod: 7, Inbound: true}
		w.Open(int(f.Fd()), key, strings.HasPrefix(line, "repeated"))
		e := w.Opened(int(f.Fd()))
		hold := func(text string) {
			e.Hold()
			e.Reading()
			copy(w.Room(e, len(text)), text)
			e.Held()
		}
		switch strings.TrimSpace(line) {
		case "accepted":
		case "read nothing":
			e.Reading()
			e.Unread()
		case "read":
			e.Reading()
		case "held":
			hold("GET /")
		case "held in pieces":
			hold("GE")
			hold("T /")
		case "held, and more is looked for":
			hold("GET /")
			e.Reading()
			e.Unread()
		case "held, and more was read":
			hold("GET /")
			e.Reading()
		case "not to be held":
			e.Reading()
			if w.Room(e, 5) != nil {
				return errors.New("it is held")
			}
		case "held, then spent":
			hold("POST /")
			e.Spend()
		case "spent, then more":
			hold("POST /")
			e.Spend()
			e.Reading()
			if w.Room(e, 5) != nil {
				return errors.New("it is held")
			}
		case "half a response":
			hold("GET /")
			e.Writing()
		case "answered":
			hold("GET /")
			w.Answered(e, false)
			e.Writing()
			e.Written()
		case "answered, not written":
			hold("GET /")
			w.Answered(e, false)
			e.Writing()
		case "answered, and held again":
			hold("GET /1")
			e.Writing()
			w.Answered(e, true)
			hold("GET /2")
		case "answered, not written, and more was read":
			hold("GET /1")
			w.Answered(e, false)
			e.Writing()
			e.Reading()
			if w.Room(e, 5) != nil {
				return errors.New("it is held")
			}
			e.Written()
		case "repeated":
			e.Hold()
			e.Reading()
			if w.Room(e, 5) != nil {
				return errors.New("it is held twice")
			}
		case "repeated and answered":
			w.Answered(e, true)
		case "too long":
			hold("GET /")
			e.Reading()
			if w.Room(e, roomEach-4) != nil {
				return errors.New("too much is held")
			}
		case "closed":
			w.Forget(int(f.Fd()))
		case "passed on", "passed on, all but the answer":
			up, err := pass(line, os.Getenv(upstream))
			if err != nil {
				return err
			}
			defer up.Close()
			e.SetChain(Chain{Name: 9, Index: 1, Of: 2})
			w.Pair(int(f.Fd()), int(up.Fd()))
			if strings.TrimSpace(line) != "passed on" {
				continue
			}
		case "end":
			if end == "in order" {
				s.End()
				return nil
			}
			unix.Kill(unix.Getpid(), unix.SIGKILL)
			select {}
		}
		io.WriteString(c, "here\n")
	}
}

var ways = []struct {
	how  string
	goes bool
	read string
}{
	{"accepted", true, ""},
	{"read nothing", true, ""},
	{"read", false, ""},
	{"held", true, "GET /"},
	{"held in pieces", true, "GET /"},
	{"held, and more is looked for", true, "GET /"},
	{"held, and more was read", false, ""},
	{"not to be held", false, ""},
	{"held, then spent", false, ""},
	{"spent, then more", false, ""},
	{"half a response", false, ""},
	{"answered", true, ""},
	{"answered, not written", false, ""},
	{"answered, and held again", true, "GET /2"},
	{"answered, not written, and more was read", false, ""},
	{"repeated", false, ""},
	{"repeated and answered", true, ""},
	{"too long", false, ""},
	{"closed", false, ""},
	{"passed on", true, ""},
	{"passed on, all but the answer", false, ""},
}

// TestKilled: what can go on goes on, what cannot is closed at once.
func TestKilled(t *testing.T) {
	clients, got := killed(t, "killed")
	var want int
	for i, w := range ways {
		c := clients[i]
		if !w.goes {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("%s: %v, want its end", w.how, err)
			}
			continue
		}
		want++
		select {
		case k := <-got:
			if k.Key != (Key{Listener: "l", Pod: 7, Inbound: true}) || string(k.Read) != w.read {
				t.Errorf("%s: %+v", w.how, k)
			}
			if paired := w.how == "passed on"; paired != (k.Partner > 0) || paired && k.Chain != (Chain{Name: 9, Index: 1, Of: 2}) {
				t.Errorf("%s: partner %d, chain %+v", w.how, k.Partner, k.Chain)
			}
			io.WriteString(c, w.how)
			p := make([]byte, 100)
			n, err := unix.Read(k.FD, p)
			if string(p[:max(n, 0)]) != w.how {
				t.Errorf("%s: read %q, %v", w.how, p[:max(n, 0)], err)
			}
			k.Close()
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: does not go on", w.how)
		}
	}
}

// TestEndsInOrder: nothing goes on.
func TestEndsInOrder(t *testing.T) {
	clients, got := killed(t, "in order")
	for i, c := range clients {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v, want its end", ways[i].how, err)
		}
	}
	if len(got) > 0 {
		t.Error("connections go on")
	}
}

// killed starts a proxy, has it accept a connection of each kind, and ends it.
func killed(t *testing.T, end string) (clients []net.Conn, got chan Conn) {
	files, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	up, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { up.Close() })
	go func() {
		for {
			c, err := up.Accept()
			if err != nil {
				return
			}
			bufio.NewReader(c).ReadString('\n')
			io.WriteString(c, "here\n")
		}
	}()
	cmd.Env = append(os.Environ(), role+"="+end, upstream+"="+up.Addr().String(), Environment(3))
	cmd.ExtraFiles = files[:]
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	dial := func(line string) net.Conn {
		c, err := net.Dial("tcp", strings.TrimSpace(addr))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, line+"\n")
		return c
	}
	for _, w := range ways {
		c := dial(w.how)
		if w.how == "passed on, all but the answer" {
			clients = append(clients, c)
			continue
		}
		if line, err := bufio.NewReader(c).ReadString('\n'); line != "here\n" {
			t.Fatalf("%s: %q, %v", w.how, line, err)
		}
		clients = append(clients, c)
	}
	got = make(chan Conn, len(ways))
	done := make(chan error, 1)
	in := int(files[1].Fd())
	go func() { done <- Receive(in, func(c Conn) { got <- c }) }()
	dial("end")
	err = cmd.Wait()
	var exited *exec.ExitError
	if end == "killed" && (!errors.As(err, &exited) || exited.Sys().(syscall.WaitStatus).Signal() != unix.SIGKILL) || end != "killed" && err != nil {
		t.Fatalf("the proxy: %v", err)
	}
	t.Cleanup(func() {
		unix.Shutdown(in, unix.SHUT_RDWR)
		<-done
		for _, f := range files {
			f.Close()
		}
	})
	return clients, got
}
