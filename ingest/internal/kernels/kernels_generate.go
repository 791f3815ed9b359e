package kernels

//go:generate go run -C asm . -file index -out ../index_amd64.s -stubs ../index_amd64.go -pkg kernels
//go:generate go run -C asm . -file cells -out ../cells_amd64.s -stubs ../cells_amd64.go -pkg kernels
