package tlsinspector

import (
	"bytes"
	"errors"
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

// hello is what a ClientHello asks for.
type hello struct {
	serverName string // lower case
	protocols  []string
}

var (
	errIncomplete = errors.New("the ClientHello is not here whole")
	errNotTLS     = errors.New("not a TLS ClientHello")
)

const (
	recordHeader    = 5
	maxRecord       = 16 << 10 // plaintext, RFC 8446 section 5.1
	recordHandshake = 22
	helloHeader     = 4
	clientHello     = 1
)

// parse reads the ClientHello at the start of p, which may lie in several
// records (RFC 8446 section 5.1).
func parse(p []byte) (hello, error) {
	msg, err := assemble(p)
	if err != nil {
		return hello{}, err
	}
	return parseHello(msg)
}

// assemble joins the handshake message's fragments. Until all are there it
// only counts, as it is called anew whenever bytes come; it copies only when
// there is more than one.
func assemble(p []byte) ([]byte, error) {
	var head [helloHeader]byte
	have, want := 0, -1
	for rest := p; want < 0 || have < want; {
		fragment, next, err := record(rest)
		if err != nil {
			return nil, err
		}
		if have < helloHeader {
			copy(head[have:], fragment)
		}
		if head[0] != clientHello {
			return nil, errNotTLS
		}
		have, rest = have+len(fragment), next
		if want < 0 && have >= helloHeader {
			want = helloHeader + int(head[1])<<16 + int(head[2])<<8 + int(head[3])
		}
	}
	msg, rest, _ := record(p)
	if len(msg) < want {
		msg = append(make([]byte, 0, have), msg...)
		for len(msg) < want {
			var fragment []byte
			fragment, rest, _ = record(rest)
			msg = append(msg, fragment...)
		}
	}
	return msg[helloHeader:want], nil
}

// record splits off the first record. Of one that is not here whole the start
// is checked, so that other protocols are told apart at their first bytes.
func record(p []byte) (fragment, rest []byte, err error) {
	if len(p) > 0 && p[0] != recordHandshake || len(p) > 1 && p[1] != 3 {
		return nil, nil, errNotTLS
	}
	if len(p) < recordHeader {
		return nil, nil, errIncomplete
	}
	n := int(p[3])<<8 | int(p[4])
	if n == 0 || n > maxRecord {
		return nil, nil, errNotTLS
	}
	if len(p) < recordHeader+n {
		return nil, nil, errIncomplete
	}
	return p[recordHeader : recordHeader+n], p[recordHeader+n:], nil
}

// parseHello reads the body of a ClientHello (RFC 8446 section 4.1.2).
func parseHello(p []byte) (h hello, err error) {
	s := cryptobyte.String(p)
	var version uint16
	var session, suites, compression, extensions cryptobyte.String
	if !s.ReadUint16(&version) || version>>8 != 3 || !s.Skip(32) || !s.ReadUint8LengthPrefixed(&session) || len(session) > 32 ||
		!s.ReadUint16LengthPrefixed(&suites) || len(suites) < 2 || len(suites)%2 != 0 ||
		!s.ReadUint8LengthPrefixed(&compression) || len(compression) == 0 {
		return h, errNotTLS
	}
	if s.Empty() {
		return h, nil // before extensions were invented
	}
	if !s.ReadUint16LengthPrefixed(&extensions) || !s.Empty() {
		return h, errNotTLS
	}
	var seen [2]bool // server_name, application_layer_protocol_negotiation
	for !extensions.Empty() {
		var kind uint16
		var body cryptobyte.String
		if !extensions.ReadUint16(&kind) || !extensions.ReadUint16LengthPrefixed(&body) {
			return h, errNotTLS
		}
		ok := true
		switch kind {
		case 0:
			ok = !seen[0] && h.readServerName(body)
			seen[0] = true
		case 16:
			ok = !seen[1] && h.readProtocols(body)
			seen[1] = true
		}
		if !ok {
			return h, errNotTLS
		}
	}
	return h, nil
}

// readServerName reads the server_name extension (RFC 6066 section 3): one
// name, as BoringSSL takes it.
func (h *hello) readServerName(s cryptobyte.String) bool {
	var list, name cryptobyte.String
	var kind uint8
	if !s.ReadUint16LengthPrefixed(&list) || !s.Empty() || !list.ReadUint8(&kind) || kind != 0 || !list.ReadUint16LengthPrefixed(&name) || !list.Empty() {
		return false
	}
	if len(name) == 0 || len(name) > 255 || bytes.IndexByte(name, 0) >= 0 {
		return false
	}
	h.serverName = strings.ToLower(string(name))
	return true
}

// readProtocols reads the ALPN extension (RFC 7301 section 3.1).
func (h *hello) readProtocols(s cryptobyte.String) bool {
	var list cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&list) || !s.Empty() || list.Empty() {
		return false
	}
	for !list.Empty() {
		var p cryptobyte.String
		if !list.ReadUint8LengthPrefixed(&p) || p.Empty() {
			return false
		}
		h.protocols = append(h.protocols, string(p))
	}
	return true
}
