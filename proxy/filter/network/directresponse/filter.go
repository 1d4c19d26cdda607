package directresponse

import "github.com/weirproxy/weir/proxy/network"

type filter struct {
	cb   *network.ReadCallbacks
	body []byte // never changes
}

// OnNewConnection implements network.ReadFilter.
func (f *filter) OnNewConnection() network.FilterStatus {
	c := f.cb.Connection()
	c.EnsureInfo().Details = "direct_response"
	if len(f.body) > 0 {
		b := c.Loop().NewBuffer()
		b.AppendStatic(f.body)
		c.Write(b, false)
	}
	c.Close(network.FlushWriteAndEnd)
	return network.StopIteration
}

// OnData implements network.ReadFilter.
func (*filter) OnData(b *network.Buffer, _ bool) network.FilterStatus {
	b.Reset()
	return network.StopIteration
}
