package otherlayout

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel,bpfeb Other ../weir.c -- -DOTHER_LAYOUT -O2 -g -fno-strict-aliasing -Wall -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
