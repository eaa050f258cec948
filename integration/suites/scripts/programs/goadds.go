// A library in Go for programs of other languages. Its run-time adds SA_ONSTACK to the handlers
// of the process.
package main

import "C"

//export GoAdds
func GoAdds(one, other C.int) C.int { return one + other }

func main() {}
