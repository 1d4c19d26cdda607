package handoff

// Of several proxies, as there are while one replaces another, only the newest
// accepts connections: what the old one accepted, it would have to end when its
// drain time is over.

// FeatureYield is in the hello of a proxy that can stop accepting, and that
// says when it does so for good.
const FeatureYield = "yield"

// Draining tells the agent that this proxy accepts no more.
func (c *Client) Draining() {
	c.mu.Lock()
	c.draining = true
	conn := c.conn
	c.mu.Unlock()
	if conn == nil {
		return // the next agent hears of it
	}
	if err := conn.send(&message{Type: typeDraining}); err != nil {
		conn.broken(err) // Run connects again
	}
}

// tellDraining is for an agent that was not there when it was said.
func (c *Client) tellDraining(conn *conn) error {
	c.mu.Lock()
	draining := c.draining
	c.mu.Unlock()
	if !draining {
		return nil
	}
	return conn.send(&message{Type: typeDraining})
}

// toldYield passes on what the agent says, if it is news.
func (c *Client) toldYield(on bool, events Events) {
	if c.yields != on {
		c.yields = on
		events.Yield(on)
	}
}

// chooseAcceptor tells who is to accept, and who is not, if that has changed or
// if it was never told: another agent may have told it otherwise. The caller
// has s.mu.
func (s *Server) chooseAcceptor() {
	var newest *conn
	for c := range s.clients {
		if c.accepts() && (newest == nil || c.started > newest.started) {
			newest = c
		}
	}
	for c := range s.clients {
		if yields := c != newest; c.accepts() && (c.yields != yields || !c.told) {
			c.yields, c.told = yields, true
			s.sendOrDrop(c, &message{Type: typeYield, Yield: yields})
		}
	}
}

// accepts reports whether the proxy could.
func (c *conn) accepts() bool { return c.canYield && !c.draining }

func (s *Server) drains(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.draining = true
	s.chooseAcceptor()
}
