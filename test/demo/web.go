package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"

	"github.com/weirproxy/weir/internal/netnsrig"
)

// serveWeb answers every request with the server's name, and knows nothing
// of weir.
func serveWeb(name, addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("listening") // startWeb waits for it
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s says hello to %s\n", name, r.URL.Path)
	}))
}

// startWeb starts a web server in the pod. It ends with the pod.
func (d *demo) startWeb(pod *netnsrig.Pod, name, addr string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "-serve", name, "-listen", addr)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = &d.log
	if err := pod.Start(cmd); err != nil {
		return err
	}
	go cmd.Wait()
	var word string
	if _, err := fmt.Fscan(out, &word); err != nil {
		return fmt.Errorf("%s does not listen on %s: %w", name, addr, err)
	}
	return nil
}
