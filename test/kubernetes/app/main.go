// Command app is what the test's pods run: a web server, a client that asks
// all the time and counts what fails, the cluster's DNS server, and the pause
// of pod sandboxes. `app get URL` and `app lookup NAME` ask once and print what
// they are told.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	if len(os.Args) == 1 { // as a sandbox's container is started
		<-stop
		return
	}
	switch role, args := os.Args[1], os.Args[2:]; role {
	case "serve":
		for _, addr := range args {
			go serve(addr)
		}
	case "load":
		go load(args[0], args[1])
	case "dns":
		go serveDNS(args[0], args[1:])
	case "get":
		exit(get(args[0]))
	case "lookup":
		exit(lookup(args[0]))
	default:
		fmt.Fprintln(os.Stderr, "no role", role)
		os.Exit(2)
	}
	<-stop
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve says who it is and whom it sees. It ends as a good server does: its
// socket first, then what is under way.
func serve(addr string) {
	name, _ := os.Hostname()
	err := http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s sees %s\n", name, r.RemoteAddr)
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// load asks url in two ways, over kept connections and over one connection a
// request, and tells how it went at http://addr/: how many were answered, how
// many failed, and how many of these after they were connected.
func load(url, addr string) {
	var ok, failed, lost atomic.Int64
	var last atomic.Value
	for _, reuse := range []bool{true, false} {
		client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			DisableKeepAlives: !reuse, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		}}
		for range 2 {
			go func() {
				for ; ; time.Sleep(5 * time.Millisecond) {
					if err := ask(client, url); err != nil {
						failed.Add(1)
						if wasConnected(err) {
							lost.Add(1)
						}
						last.Store(fmt.Sprintf("%s (keep-alive %v): %v", time.Now().Format(time.TimeOnly), reuse, err))
						continue
					}
					ok.Add(1)
				}
			}()
		}
	}
	err := http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		text, _ := last.Load().(string)
		fmt.Fprintf(w, "%d %d %d %s\n", ok.Load(), failed.Load(), lost.Load(), text)
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// wasConnected reports whether the connection of a request that failed was made,
// and then ended.
func wasConnected(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func ask(client *http.Client, url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	return nil
}
