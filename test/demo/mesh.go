package main

import (
	_ "embed"
	"net/netip"
	"strings"
	"text/template"
)

// The service's addresses. Nobody has them: as in Kubernetes, a service is
// only what the mesh makes of it.
const (
	service4 = "10.96.0.10"
	service6 = "fd96::10"
)

// serviceName is another way to call it: a host that only the mesh knows.
const serviceName = "web.mesh"

// Where the two versions of the service listen in the server's pod.
const port1, port2 = 8081, 8082

//go:embed mesh.yaml
var meshYAML string

//go:embed bootstrap.yaml
var bootstrapYAML string

var (
	meshTemplate      = template.Must(template.New("mesh.yaml").Parse(meshYAML))
	bootstrapTemplate = template.Must(template.New("bootstrap.yaml").Parse(bootstrapYAML))
)

// mesh is the configuration that the control plane serves.
type mesh struct {
	Server             netip.Addr
	Service4, Service6 string
	ServiceName        string
	Port1, Port2       int
	Weight1, Weight2   int
	AccessLog          string
}

func fill(t *template.Template, data any) (string, error) {
	var b strings.Builder
	err := t.Execute(&b, data)
	return b.String(), err
}
