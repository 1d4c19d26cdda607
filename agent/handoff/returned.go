package handoff

import "context"

// Return gives an agent that has taken over the listeners of the pods that the
// agent before it holds; they stay the caller's. What no listener of the new
// agent's answers to is ignored there.
func Return(ctx context.Context, path string, held []Pod) error {
	c, err := Dial(path, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	conn := c.current() // which disconnect closes, and takes from c
	defer context.AfterFunc(ctx, c.disconnect)()
	for _, p := range held {
		for _, l := range p.Listeners {
			if err := conn.send(&message{Type: typeHeld, ID: p.ID, Listener: &l}, l.FD); err != nil {
				return err
			}
		}
	}
	if err := conn.send(&message{Type: typeReady}); err != nil {
		return err
	}
	// All is taken once the agent answers with the pods.
	for {
		m, fds, err := conn.receive()
		closeAll(fds)
		if err != nil || m.Type == typeSynced {
			return err
		}
	}
}
