package bpf

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel,bpfeb -type pod -type settings -type listener_key -type pod_addr -type pod_port -type pod_cidr -type pod_uid -type lb_addr -type lb_service -type lb_endpoint -type orig -type conn -type connecting -type flow -type dns_pod -type dns_servers -type listener_kind -type flow_verdict -type counter Weir weir.c -- -O2 -g -fno-strict-aliasing -Wall -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel,bpfeb Cookie cookie.c -- -O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
