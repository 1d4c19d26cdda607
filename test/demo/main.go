package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	weir := flag.String("weir", "bin/weir", "the weir `BINARY`")
	keep := flag.Bool("keep", false, "leave everything running at the end, until Ctrl-C")
	serve := flag.String("serve", "", "be the web server of that `NAME` instead, as the pods' processes are")
	listen := flag.String("listen", "", "where -serve listens")
	flag.Parse()
	if *serve != "" {
		fail(serveWeb(*serve, *listen))
	}
	fail(run(*weir, *keep))
}

func fail(err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, "demo:", err)
	os.Exit(1)
}

// timeout bounds the story: nothing in it may hang.
const timeout = 150 * time.Second

func run(weir string, keep bool) (err error) {
	if os.Getuid() != 0 {
		return errors.New("network namespaces and eBPF need root: sudo make demo")
	}
	// From here on no signal may end this process before it has cleaned up;
	// nor may a reader that goes away (make demo | head).
	signal.Ignore(syscall.SIGPIPE)
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, cancel := context.WithTimeout(interrupted, timeout)
	defer cancel()

	s := newScreen(os.Stdout)
	d := &demo{screen: s}
	defer func() {
		if err != nil && interrupted.Err() != nil {
			err = errors.New("interrupted")
		}
		if err != nil {
			d.showLog()
		}
		err = errors.Join(err, d.cleanUp())
	}()
	for i, step := range steps {
		s.title(i+1, step.title)
		if err := step.show(d, ctx, weir); err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, step.title, err)
		}
		if s.err != nil {
			return s.err
		}
	}
	if keep {
		s.say("Everything is left running until Ctrl-C. Try, in another terminal:")
		d.suggest()
		<-interrupted.Done()
	}
	return nil
}
