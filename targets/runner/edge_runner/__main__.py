from edge_runner.main import main

main()
