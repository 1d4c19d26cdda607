//go:build oracle

package oracle

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2Script sends the frames that a request lists, and notes those that come
// back. A step is one of
//
//	headers ID [end] [name=value…]  (GET / of a.example; a value "-" leaves a field out)
//	trailers ID [name=value…]
//	data ID [end] TEXT              (xN: N times x)
//	reset ID CODE, goaway CODE, ping, window ID N, settings ID=VALUE…
//	raw TYPE FLAGS ID [HEX]
//	sleep SECONDS
//	admin METHOD PATH               (at the proxy)
//
// At the end it reads until nothing has come for a second, or for as long as a
// last step "read SECONDS" says.
type h2Script struct {
	c     net.Conn
	fr    *http2.Framer
	enc   *hpack.Encoder
	block bytes.Buffer
}

// h2Seen is one frame that came. Those that only flow control causes are left out,
// and the DATA frames of a stream that follow each other are one.
type h2Seen struct {
	Stream uint32
	What   string
	Fields [][2]string `json:",omitempty"`
	Text   string      `json:",omitempty"`
}

func (q *request) sendScript(c net.Conn, p *proxy) answer {
	s := &h2Script{c: c, fr: http2.NewFramer(c, c)}
	s.enc = hpack.NewEncoder(&s.block)
	s.fr.AllowIllegalWrites = true
	io.WriteString(c, http2.ClientPreface)
	seen := make(chan answer, 1)
	silence := time.Second
	if verb, n, _ := strings.Cut(q.Frames[len(q.Frames)-1], " "); verb == "read" {
		silence = scriptSeconds(n)
	}
	if !strings.HasPrefix(q.Frames[0], "settings") {
		s.fr.WriteSettings()
	}
	sent := make(chan struct{})
	go func() { seen <- readScript(c, silence, sent) }()
	for _, step := range q.Frames {
		s.step(step, p)
	}
	close(sent)
	c.SetReadDeadline(time.Now().Add(silence))
	return <-seen
}

func scriptSeconds(text string) time.Duration {
	f, _ := strconv.ParseFloat(text, 64)
	return time.Duration(f * float64(time.Second))
}

func (s *h2Script) step(step string, p *proxy) {
	words := strings.Fields(step)
	verb, args := words[0], words[1:]
	var id uint32
	if len(args) > 0 {
		id = uint32(number(args[0]))
	}
	end := len(args) > 1 && args[1] == "end"
	if end {
		args = slices.Delete(args, 1, 2)
	}
	switch verb {
	case "headers":
		s.headers(id, end, withDefaults(args[1:]))
	case "trailers":
		s.headers(id, true, args[1:])
	case "data":
		text := strings.Join(args[1:], " ")
		if n := number(strings.TrimPrefix(text, "x")); n > 0 {
			text = strings.Repeat("x", n)
		}
		s.fr.WriteData(id, end, []byte(text))
	case "reset":
		s.fr.WriteRSTStream(id, http2.ErrCode(number(args[1])))
	case "goaway":
		s.fr.WriteGoAway(0, http2.ErrCode(id), nil)
	case "ping":
		s.fr.WritePing(false, [8]byte{1})
	case "window":
		s.fr.WriteWindowUpdate(id, uint32(number(args[1])))
	case "settings":
		var set []http2.Setting
		for _, x := range args {
			k, v, _ := strings.Cut(x, "=")
			set = append(set, http2.Setting{ID: http2.SettingID(number(k)), Val: uint32(number(v))})
		}
		s.fr.WriteSettings(set...)
	case "raw":
		payload, _ := hex.DecodeString(strings.Join(args[3:], ""))
		s.fr.WriteRawFrame(http2.FrameType(id), http2.Flags(number(args[1])), uint32(number(args[2])), payload)
	case "sleep":
		time.Sleep(scriptSeconds(args[0]))
	case "admin":
		p.adminAnswer(args[0], args[1])
	}
}

// withDefaults are the fields of a request, pseudo-headers first.
func withDefaults(fields []string) []string {
	pseudo := []string{":method=GET", ":scheme=http", ":path=/", ":authority=a.example"}
	var rest []string
	for _, f := range fields {
		if f[0] != ':' {
			rest = append(rest, f)
			continue
		}
		name, value, _ := strings.Cut(f, "=")
		pseudo = slices.DeleteFunc(pseudo, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		if value != "-" {
			pseudo = append(pseudo, f)
		}
	}
	return append(pseudo, rest...)
}

func (s *h2Script) headers(id uint32, end bool, fields []string) {
	s.block.Reset()
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		s.enc.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	s.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: end, EndHeaders: true, BlockFragment: s.block.Bytes()})
}

// readScript notes frames, in the order in which they came of each stream.
func readScript(c net.Conn, silence time.Duration, sent <-chan struct{}) (a answer) {
	fr := http2.NewFramer(nil, c)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			a.End = "closed"
			if errors.Is(err, os.ErrDeadlineExceeded) {
				a.End = "open"
			}
			break
		}
		a.Frames = addSeen(a.Frames, f)
		select {
		case <-sent:
			c.SetReadDeadline(time.Now().Add(silence))
		default:
		}
	}
	slices.SortStableFunc(a.Frames, func(a, b h2Seen) int { return int(a.Stream) - int(b.Stream) })
	return a
}

func addSeen(list []h2Seen, f http2.Frame) []h2Seen {
	seen := h2Seen{Stream: f.Header().StreamID}
	end := ""
	if f.Header().Flags.Has(http2.FlagDataEndStream) {
		end = " end"
	}
	switch f := f.(type) {
	case *http2.WindowUpdateFrame:
		return list
	case *http2.SettingsFrame:
		if f.IsAck() {
			return list
		}
		seen.What = "SETTINGS"
		f.ForeachSetting(func(s http2.Setting) error {
			seen.Fields = append(seen.Fields, [2]string{s.ID.String(), fmt.Sprint(s.Val)})
			return nil
		})
	case *http2.PingFrame:
		seen.What = "PING"
		if f.IsAck() {
			seen.What = "PING ack"
		}
	case *http2.GoAwayFrame:
		seen.What = fmt.Sprintf("GOAWAY %d %v", f.LastStreamID, f.ErrCode)
		seen.Text = string(f.DebugData())
	case *http2.RSTStreamFrame:
		seen.What = "RST_STREAM " + f.ErrCode.String()
	case *http2.MetaHeadersFrame:
		seen.What = "HEADERS" + end
		for _, x := range f.Fields {
			seen.Fields = append(seen.Fields, [2]string{x.Name, x.Value})
		}
	case *http2.DataFrame:
		seen.Text = string(f.Data())
		for i := len(list) - 1; i >= 0; i-- {
			if last := &list[i]; last.Stream == seen.Stream {
				if last.What == "DATA" {
					last.Text, last.What = last.Text+seen.Text, "DATA"+end
					return list
				}
				break
			}
		}
		seen.What = "DATA" + end
	default:
		seen.What = f.Header().Type.String()
	}
	return append(list, seen)
}
