package admin

import (
	"net"
	"os"
)

// listen binds the address. A socket that a process left behind is replaced.
func (c *Config) listen() (net.Listener, error) {
	if c.Network != "unix" {
		return net.Listen(c.Network, c.Address)
	}
	if c.Address[0] != '@' {
		if err := removeStaleSocket(c.Address); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen(c.Network, c.Address)
	if err == nil && c.Mode != 0 {
		if err = os.Chmod(c.Address, c.Mode); err != nil {
			l.Close()
		}
	}
	return l, err
}

// removeStaleSocket removes a socket that nobody listens on, and nothing else.
func removeStaleSocket(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return nil // Listen says what is wrong, if anything is
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil
	}
	return os.Remove(path)
}
