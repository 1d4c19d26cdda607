package main

import (
	"net"
	"strings"

	"github.com/miekg/dns"
)

// serveDNS answers for hosts of the form NAME=ADDRESS, by UDP and by TCP, and
// knows no other names.
func serveDNS(addr string, hosts []string) {
	addresses := map[string]net.IP{}
	for _, host := range hosts {
		name, ip, _ := strings.Cut(host, "=")
		addresses[dns.Fqdn(name)] = net.ParseIP(ip)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		w.WriteMsg(reply(query, addresses))
	})
	go func() { exit(dns.ListenAndServe(addr, "tcp", handler)) }()
	exit(dns.ListenAndServe(addr, "udp", handler))
}

func reply(query *dns.Msg, addresses map[string]net.IP) *dns.Msg {
	r := new(dns.Msg).SetReply(query)
	q := query.Question[0]
	ip, known := addresses[strings.ToLower(q.Name)]
	switch {
	case !known:
		r.Rcode = dns.RcodeNameError
	case q.Qtype == dns.TypeA:
		header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: q.Qclass, Ttl: 5}
		r.Answer = append(r.Answer, &dns.A{Hdr: header, A: ip})
	}
	return r
}
