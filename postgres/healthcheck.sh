#!/bin/bash
# Healthy: PostgreSQL takes connections, and answers a question.
pg_isready --quiet --timeout 3 && [[ $(psql --no-psqlrc --tuples-only --no-align --command 'SELECT 1') == 1 ]]
