package dnsproxy

import (
	"bytes"
	"encoding/binary"

	"github.com/miekg/dns"
)

// headerSize is that of a DNS message's header (RFC 1035, 4.1.1).
const headerSize = 12

// minUDPSize is what every client takes (RFC 1035, 4.2.1); ourUDPSize is what
// the proxy says that it takes: what no path fragments.
const (
	minUDPSize = 512
	ourUDPSize = 1232
)

// question is what the proxy understands of a query.
type question struct {
	msg  dns.Msg
	name string // lower case, with its final dot
	kind uint16 // its type
	size int    // the longest answer that the client takes by UDP
}

// parseQuestion understands queries with one question of the class IN. What it
// does not understand it leaves to the server.
func parseQuestion(query []byte) (*question, bool) {
	q := &question{size: minUDPSize}
	if err := q.msg.Unpack(query); err != nil || q.msg.Response || q.msg.Opcode != dns.OpcodeQuery || len(q.msg.Question) != 1 {
		return nil, false
	}
	asked := q.msg.Question[0]
	if asked.Qclass != dns.ClassINET {
		return nil, false
	}
	q.name, q.kind = dns.CanonicalName(asked.Name), asked.Qtype
	if opt := q.msg.IsEdns0(); opt != nil {
		q.size = max(minUDPSize, int(opt.UDPSize()))
	}
	return q, true
}

// isAddress reports whether addresses are asked for.
func (q *question) isAddress() bool { return q.kind == dns.TypeA || q.kind == dns.TypeAAAA }

// reply is an answer without records.
func (q *question) reply(rcode int) *dns.Msg {
	r := new(dns.Msg).SetRcode(&q.msg, rcode)
	r.RecursionAvailable, r.Compress = true, true
	if q.msg.IsEdns0() != nil {
		r.SetEdns0(ourUDPSize, false)
	}
	return r
}

// answers reports whether a message is a server's answer to a query: the same
// number and the same question.
func answers(response, query []byte) bool {
	if len(response) < headerSize || len(query) < headerSize || response[0] != query[0] || response[1] != query[1] || !isResponse(response) {
		return false
	}
	asked, repeated := questionSection(query), questionSection(response)
	return repeated == nil || bytes.EqualFold(asked, repeated)
}

// questionSection is the bytes of a message's only question; nil if it has
// another number of them, or a name that is not spelt out.
func questionSection(m []byte) []byte {
	if binary.BigEndian.Uint16(m[4:]) != 1 {
		return nil
	}
	rest := m[headerSize:]
	for len(rest) > 0 && rest[0] > 0 && rest[0] < 64 && int(rest[0]) < len(rest) {
		rest = rest[rest[0]+1:]
	}
	const typeAndClass = 4
	if len(rest) < 1+typeAndClass || rest[0] != 0 {
		return nil
	}
	return m[headerSize : len(m)-len(rest)+1+typeAndClass]
}

const (
	flagResponse  = 0x80 // of byte 2
	flagTruncated = 0x02
)

func isResponse(m []byte) bool  { return m[2]&flagResponse != 0 }
func isTruncated(m []byte) bool { return m[2]&flagTruncated != 0 }
