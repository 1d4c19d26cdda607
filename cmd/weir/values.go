package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os/user"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/weirproxy/weir/agent/pods"
)

// Flags that may be repeated, each value checked as it is read.
type (
	uids  []uint32
	ports []uint16
	addrs []netip.Addr
	cidrs []netip.Prefix
)

func (u *uids) Set(s string) error {
	if known, err := user.Lookup(s); err == nil {
		s = known.Uid
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return errors.New("there is no such user")
	}
	*u = append(*u, uint32(n))
	return nil
}

func (p *ports) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return errors.New("a port is a number up to 65535")
	}
	*p = append(*p, uint16(n))
	return nil
}

func (a *addrs) Set(s string) error {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return errors.New("it is no IP address")
	}
	*a = append(*a, addr)
	return nil
}

func (c *cidrs) Set(s string) error {
	p, err := parsePrefix(s)
	*c = append(*c, p)
	return err
}

func (c *cidrs) Type() string   { return "cidr" }
func (c *cidrs) String() string { return list(*c) }

// excludeFlags are the outbound connections that are left alone.
func excludeFlags(cmd *cobra.Command, e *pods.Exclusions) {
	f := cmd.Flags()
	f.Var((*cidrs)(&e.CIDRs), "exclude-outbound-cidr", "`CIDR` whose connections from pods are left alone; may be repeated")
	f.Var((*ports)(&e.Ports), "exclude-outbound-port", "`PORT` to which connections from pods are left alone; may be repeated")
	f.Var((*uids)(&e.UIDs), "exclude-uid", "`USER` whose processes' connections are left alone; may be repeated")
}

func (u *uids) Type() string    { return "uid" }
func (p *ports) Type() string   { return "port" }
func (a *addrs) Type() string   { return "ip" }
func (u *uids) String() string  { return list(*u) }
func (p *ports) String() string { return list(*p) }
func (a *addrs) String() string { return list(*a) }

// prefix is a flag that takes a CIDR, or an address that stands for itself.
type prefix netip.Prefix

func (p *prefix) Set(s string) error {
	parsed, err := parsePrefix(s)
	*p = prefix(parsed)
	return err
}

func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, errors.New("it is neither a CIDR nor an IP address")
	}
	return p.Masked(), nil
}

func (p *prefix) Type() string { return "cidr" }
func (p *prefix) String() string {
	if !netip.Prefix(*p).IsValid() {
		return ""
	}
	return netip.Prefix(*p).String()
}

// list is empty for no values: a flag's default is then not shown.
func list[T any](values []T) string {
	if len(values) == 0 {
		return ""
	}
	return fmt.Sprint(values)
}
