package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// patience is how long a question that is asked once may take.
const patience = 10 * time.Second

func get(url string) error {
	client := http.Client{Timeout: patience}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

// lookup prints a name's IPv4 addresses.
func lookup(name string) error {
	addr, err := net.ResolveIPAddr("ip4", name)
	if err != nil {
		return err
	}
	fmt.Println(addr)
	return nil
}
