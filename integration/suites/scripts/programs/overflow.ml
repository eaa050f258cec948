(* OCaml makes an exception of a stack overflow, in a handler on its alternate stack. *)
let rec deeper n = 1 + deeper (n + 1)

let recovers () =
  match deeper 0 with
  | n -> Printf.printf "not ok never %d\n" n; false
  | exception Stack_overflow -> true

let () =
  for turn = 1 to 5 do
    Printf.printf "%s OCaml: stack overflow, turn %d\n" (if recovers () then "ok" else "not ok") turn
  done;
  let seen = ref 0 in
  Sys.set_signal Sys.sigusr1 (Sys.Signal_handle (fun _ -> incr seen));
  for _ = 1 to 100 do
    Unix.kill (Unix.getpid ()) Sys.sigusr1;
    ignore (Sys.opaque_identity (ref 0))
  done;
  Printf.printf "%s OCaml: signals\n" (if !seen > 0 then "ok" else "not ok")
