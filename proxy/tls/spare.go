package tls

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// spare gives back what a handshake has left in crypto/tls's buffers, which
// keep their size for as long as the connection lives: some 4 KiB since
// ClientHellos carry a post-quantum key share, more than all else of an idle
// connection. crypto/tls has no call for it, so this looks into its Conn: where
// that is not as it is known, nothing is given back.
func spare(c *tls.Conn) {
	if !connFields.known {
		return
	}
	hand := (*bytes.Buffer)(connFields.at(c, connFields.hand))
	raw := (*bytes.Buffer)(connFields.at(c, connFields.raw))
	input := (*bytes.Reader)(connFields.at(c, connFields.input)) // of raw's bytes
	if hand.Len() == 0 {
		*hand = bytes.Buffer{}
	}
	if raw.Len() == 0 && input.Len() == 0 {
		*raw, *input = bytes.Buffer{}, bytes.Reader{}
	}
}

// connFields are where a tls.Conn has its buffers.
var connFields = findFields()

type fieldOffsets struct {
	hand, raw, input uintptr
	known            bool
}

func findFields() (o fieldOffsets) {
	conn := reflect.TypeFor[tls.Conn]()
	find := func(name string, kind reflect.Type) (uintptr, bool) {
		f, ok := conn.FieldByName(name)
		return f.Offset, ok && f.Type == kind
	}
	hand, ok1 := find("hand", reflect.TypeFor[bytes.Buffer]())
	raw, ok2 := find("rawInput", reflect.TypeFor[bytes.Buffer]())
	input, ok3 := find("input", reflect.TypeFor[bytes.Reader]())
	return fieldOffsets{hand, raw, input, ok1 && ok2 && ok3}
}

func (fieldOffsets) at(c *tls.Conn, offset uintptr) unsafe.Pointer {
	return unsafe.Add(unsafe.Pointer(c), offset)
}
